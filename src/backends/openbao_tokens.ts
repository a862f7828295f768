import { performance } from 'node:perf_hooks';
import * as Type from '@sinclair/typebox';
import { Check } from '@sinclair/typebox/value';
import type { EndSignal } from '../ending.js';
import { type BackendFailure, failure } from './backend.js';
import { readNamedFile } from './named_file.js';
import type { Client } from './openbao_client.js';
import { singleFlight } from './single_flight.js';
import { withTimeLimit } from './time_limit.js';

/** Where the tokens come from that a server is asked with. Strings, as HTTP headers are made of strings. */
export interface TokenSource {
  token(signal: EndSignal): Promise<string | BackendFailure>;
  /** Another one in place of one that the server does not accept; undefined where there is none. */
  another(refused: string, signal: EndSignal): Promise<string | BackendFailure | undefined>;
}

const UNREADABLE = failure('backend_unavailable', 'credential_unreadable');
const TIMED_OUT = failure('backend_timeout', 'timeout');

/** What a header can hold. */
const VISIBLE = /^[\x21-\x7e]+$/;

/** The file is read each time: what stands in it counts at once, and nothing of it is kept. */
export function tokensOfFile(path: string): TokenSource {
  const read = async (): Promise<string | BackendFailure> => (await readCredential(path)) ?? UNREADABLE;
  return {
    token: read,
    async another(refused) {
      const now = await read();
      return now === refused ? undefined : now;
    },
  };
}

/** Without the white space around it; undefined where there is none that a server could have given. */
async function readCredential(path: string): Promise<string | undefined> {
  const bytes = await readNamedFile(path);
  const text = bytes?.toString('latin1').trim();
  bytes?.fill(0);
  return text !== undefined && VISIBLE.test(text) ? text : undefined;
}

export interface AppRoleOptions {
  readonly roleIdFile: string;
  readonly secretIdFile: string;
  /** Percent-encoded. */
  readonly mount: string;
}

/** What a login and a renewal answer; there is more in it. */
const granted = Type.Object({
  auth: Type.Object({
    client_token: Type.RegExp(VISIBLE),
    /** Seconds; 0: for ever. */
    lease_duration: Type.Number({ minimum: 0 }),
    renewable: Type.Boolean(),
  }),
});

/** A token of our own, with times of `performance.now()`. */
interface Lease {
  readonly token: string;
  readonly renewable: boolean;
  /** Milliseconds that the login gave it. */
  readonly lifetime: number;
  /** When it was given, or last asked for in vain. */
  readonly obtained: number;
  readonly expires: number;
}

/** The part of its time after which a token is renewed, by the next one who needs it: no timer runs for it. */
const RENEW_AFTER = 2 / 3;

/** Milliseconds that another token is waited for while there is one that lives. */
const SUCCESSION_MS = 1_000;

/** Bytes; an answer to a login holds the token, and the names of policies and metadata. */
const MAX_ANSWER_BYTES = 1_048_576;

/** Logs in with an AppRole when the first token is asked for, renews the token, and logs in anew at its end. */
export function tokensOfAppRole(ask: Client, { roleIdFile, secretIdFile, mount }: AppRoleOptions): TokenSource {
  let lease: Lease | undefined;

  const isFresh = ({ obtained, expires }: Lease): boolean =>
    performance.now() < obtained + (expires - obtained) * RENEW_AFTER;
  const isAlive = ({ expires }: Lease): boolean => performance.now() < expires;

  async function login(signal: EndSignal): Promise<Lease | BackendFailure> {
    const [roleId, secretId] = await Promise.all([readCredential(roleIdFile), readCredential(secretIdFile)]);
    if (roleId === undefined || secretId === undefined) return UNREADABLE;
    return grant(`auth/${mount}/login`, { body: JSON.stringify({ role_id: roleId, secret_id: secretId }) }, signal);
  }

  /** The same token with more time; undefined where it got no more than it would have had, or none. */
  async function renew(old: Lease, signal: EndSignal): Promise<Lease | undefined> {
    // One round: near the end of what a server allows in all Vault answers 500, and there is the login.
    const renewed = await grant('auth/token/renew-self', { token: old.token, body: '{}', rounds: 1 }, signal);
    if ('code' in renewed || renewed.lifetime < old.lifetime / 2) return undefined;
    return { ...renewed, lifetime: old.lifetime };
  }

  /** A token in place of one that lives. */
  function succeed(old: Lease, signal: EndSignal): Promise<Lease | BackendFailure> {
    return withTimeLimit(SUCCESSION_MS, signal, async (signal) => {
      const renewed = old.renewable ? await renew(old, signal) : undefined;
      return renewed ?? login(signal);
    });
  }

  async function grant(
    path: string,
    question: { readonly token?: string; readonly body: string; readonly rounds?: number },
    signal: EndSignal,
  ): Promise<Lease | BackendFailure> {
    const obtained = performance.now();
    const answer = await ask({ method: 'POST', path, ...question, maxBytes: MAX_ANSWER_BYTES, signal });
    if (!('status' in answer)) return answer;
    const data = answer.status === 200 ? parse(answer.body) : undefined;
    answer.body.fill(0);
    if (answer.status >= 400) return failure('backend_failed', 'login_refused');
    if (data === undefined) return failure('backend_failed', 'unexpected_answer');
    const { client_token: token, lease_duration: seconds, renewable } = data.auth;
    const lifetime = seconds === 0 ? Infinity : seconds * 1000;
    return { token, renewable, lifetime, obtained, expires: obtained + lifetime };
  }

  /** One renewal or login for all who wait. */
  const refresh = singleFlight<string | BackendFailure>(async (signal) => {
    if (lease !== undefined && !isAlive(lease)) lease = undefined;
    const old = lease;
    const next = old === undefined ? await login(signal) : await succeed(old, signal);
    if ('token' in next) {
      lease = next;
      return next.token;
    }
    // A server that gives no other token does not make this one worse, and is not waited for each time.
    if (old !== undefined && lease === old) lease = { ...old, obtained: performance.now() };
    return lease?.token ?? next;
  }, TIMED_OUT);

  const token = async (signal: EndSignal): Promise<string | BackendFailure> =>
    lease !== undefined && isFresh(lease) ? lease.token : refresh(signal);

  return {
    token,
    another(refused, signal) {
      if (lease?.token === refused) lease = undefined;
      return token(signal);
    },
  };
}

function parse(body: Buffer): Type.Static<typeof granted> | undefined {
  try {
    const data: unknown = JSON.parse(body.toString());
    return Check(granted, data) ? data : undefined;
  } catch {
    return undefined;
  }
}
