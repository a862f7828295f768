import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { allocateSecretBytes, copySecretBytes } from '../domain/secret_bytes.js';
import { type EndSignal, orAborted } from '../ending.js';
import { withAbortSignal } from './abort_signal.js';
import { type BackendFailure, failure } from './backend.js';
import { readNamedFile } from './named_file.js';
import type { ServerAddress } from './openbao_address.js';
import { fileFingerprint } from './program.js';
import { withTimeLimit } from './time_limit.js';

export interface Question {
  readonly method: 'GET' | 'POST';
  /** Below `/v1/`, percent-encoded. */
  readonly path: string;
  readonly token?: string;
  readonly body?: string;
  /** Bytes that the body of the answer may have at most. */
  readonly maxBytes: number;
  /** How often all addresses are tried before the answer is that there is none; default: 3. */
  readonly rounds?: number;
  readonly signal: EndSignal;
}

/** What a server answered that could answer. The body is the receiver's, to be filled with zeros. */
export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

export interface ClientOptions {
  /** At least one, in the order in which they are tried. */
  readonly addresses: readonly ServerAddress[];
  readonly namespace?: string | undefined;
  /** Certificates in PEM form that count in place of those that Node knows; read again when the file has changed. */
  readonly caFile?: string | undefined;
}

/** Asks the servers of one cluster. Never rejects. */
export type Client = (question: Question) => Promise<Answer | BackendFailure>;

const ROUNDS = 3;

/** Milliseconds between two rounds: chance decides between half of it and all of it, and it doubles each time. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 1_000;

const CONNECT_MS = 2_000;

/** What an address may take while there is another one to be tried. */
const TURN_MS = 2_000;

/** Idle connections are closed: after a reload, with other certificates, or after a cut, nobody has their pool. */
const IDLE_MS = 4_000;

const TIMED_OUT = failure('backend_timeout', 'timeout');
const UNREACHABLE = failure('backend_unavailable', 'server_unreachable');
const UNTRUSTED = failure('backend_unavailable', 'server_untrusted');
const STANDBY = failure('backend_unavailable', 'server_standby');
const SEALED = failure('backend_unavailable', 'server_sealed');
const BUSY = failure('backend_unavailable', 'server_busy');
const BROKEN = failure('backend_unavailable', 'server_error');
const CA_UNREADABLE = failure('backend_unavailable', 'credential_unreadable');
const NO_WEBASSEMBLY = failure('backend_unavailable', 'webassembly_missing');

const NO_BODY = Buffer.alloc(0);

/** It may pass within the time of one request. */
const PASSING: ReadonlySet<BackendFailure> = new Set([UNREACHABLE, BUSY, BROKEN]);

/** A server that cannot answer at present; another one may. */
interface NoAnswer {
  readonly failure: BackendFailure;
  /** Milliseconds that the server asks to be left alone. */
  readonly pauseMs?: number;
}

export function createClient({ addresses, namespace, caFile }: ClientOptions): Client {
  let opened: { readonly pools: readonly Dispatcher[]; readonly caFingerprint: string | undefined } | undefined;
  /** The address that is asked first: that which answered last, so that a dead one is not waited for each time. */
  let preferred = 0;

  /**
   * The library is loaded where there is a use for it. After a cut the pools are new: a connection that has been used
   * may be cut as the last one was.
   */
  async function poolsNow(isCut: boolean): Promise<readonly Dispatcher[] | BackendFailure> {
    // The library reads HTTP with it, and without it ends the process as soon as it is loaded.
    if (!('WebAssembly' in globalThis)) return NO_WEBASSEMBLY;
    const caFingerprint = caFile && fileFingerprint(caFile);
    if (!isCut && opened !== undefined && opened.caFingerprint === caFingerprint) return opened.pools;
    const ca = caFile === undefined ? undefined : await readNamedFile(caFile);
    if (caFile !== undefined && (ca === undefined || !holdsCertificate(ca))) return CA_UNREADABLE;
    // By its default, as what makes the bundle finds no other names in it.
    /* c8 ignore next */
    const { default: undici } = await import('undici'); // the measuring counts a branch in it that is none
    const pools = addresses.map(
      ({ origin, socketPath }) =>
        new undici.Pool(origin, {
          connect: {
            timeout: CONNECT_MS,
            rejectUnauthorized: true, // whatever the environment tells Node
            ...(ca && { ca }),
            ...(socketPath !== undefined && { socketPath }),
          },
          keepAliveTimeout: IDLE_MS,
          keepAliveMaxTimeout: IDLE_MS,
          // The signal of each question is the bound.
          headersTimeout: 0,
          bodyTimeout: 0,
        }),
    );
    opened = { pools, caFingerprint };
    return pools;
  }

  async function askOne(
    pool: Dispatcher,
    { method, path, token, body, maxBytes }: Question,
    signal: AbortSignal,
  ): Promise<Answer | BackendFailure | NoAnswer> {
    try {
      signal.throwIfAborted(); // no connection is made for nobody
      // Redirections are not followed: the token is for the configured servers alone.
      const asked = pool.request({
        method,
        path: `/v1/${path}`,
        headers: {
          'X-Vault-Request': 'true',
          ...(token !== undefined && { 'X-Vault-Token': token }),
          ...(namespace !== undefined && { 'X-Vault-Namespace': namespace }),
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
        },
        body: body ?? null,
        signal,
      });
      // The library looks at the signal once it has a connection, and not while one is made: that ends by itself, at
      // `CONNECT_MS` at the latest, and nothing is sent on it.
      const answer = await orAborted(asked, signal);
      const { statusCode: status } = answer;
      const read = await readBody(answer.body as AsyncIterable<Buffer>, maxBytes);
      if (read === undefined && status === 200) return failure('backend_failed', 'value_too_large');
      const bytes = read ?? NO_BODY; // what is too much where no value comes back leaves its status
      const refusal = failureOfStatus(status, bytes);
      if (refusal === undefined) return { status, body: bytes };
      bytes.fill(0);
      return { failure: refusal, pauseMs: Number(answer.headers['retry-after']) * 1000 || 0 };
    } catch (error) {
      return failureOfError(error);
    }
  }

  /** Each address once. */
  async function askRound(
    pools: readonly Dispatcher[],
    question: Question,
  ): Promise<Answer | BackendFailure | NoAnswer> {
    let told: NoAnswer = { failure: UNREACHABLE };
    const order = [...pools.keys()].map((index) => (index + preferred) % pools.length);
    for (const [turn, index] of order.entries()) {
      const isLast = turn === order.length - 1;
      const pool = pools[index] as Dispatcher;
      const ask = (signal: EndSignal): Promise<Answer | BackendFailure | NoAnswer> =>
        withAbortSignal(signal, (own) => askOne(pool, question, own));
      const answer = await (isLast ? ask(question.signal) : withTimeLimit(TURN_MS, question.signal, ask));
      if (!('failure' in answer)) {
        preferred = index;
        return answer;
      }
      if (question.signal.aborted) {
        // It may have said nothing for all of a short time: the next question begins behind it.
        preferred = (index + 1) % pools.length;
        return TIMED_OUT;
      }
      // Of several the one who said something tells more than the one who is not there.
      if (answer.failure !== UNREACHABLE) told = answer;
    }
    return told;
  }

  return async (question) => {
    let pause = FIRST_PAUSE_MS;
    let isCut = false;
    for (let round = 1; ; round += 1) {
      const pools = await poolsNow(isCut);
      if ('code' in pools) return pools;
      const answer = await askRound(pools, question);
      if (!('failure' in answer)) return answer;
      isCut = answer.failure === UNREACHABLE;
      const wait = Math.max(pause * (0.5 + Math.random() / 2), answer.pauseMs ?? 0);
      if (round === (question.rounds ?? ROUNDS) || !PASSING.has(answer.failure) || wait > MAX_PAUSE_MS)
        return answer.failure;
      pause *= 2;
      const isAborted = await withAbortSignal(question.signal, (signal) => sleep(wait, false, { signal })).catch(
        () => true,
      );
      if (isAborted) return TIMED_OUT;
    }
  };
}

/** The library takes a file without any as one that trusts nobody. */
function holdsCertificate(pem: Buffer): boolean {
  try {
    new X509Certificate(pem.toString()); // of a text, as one in DER form would not do
    return true;
  } catch {
    return false;
  }
}

/** Undefined where a server answered that can. */
function failureOfStatus(status: number, body: Buffer): BackendFailure | undefined {
  if (status === 429) return BUSY;
  // 472 and 473: a secondary for disaster recovery, and a standby for performance that has not caught up.
  if ((status >= 300 && status < 400) || status === 472 || status === 473) return STANDBY;
  if (status < 500) return undefined;
  return status === 503 && body.includes('sealed') ? SEALED : BROKEN;
}

/** The library's errors for what comes back and is no HTTP. They may hold its bytes: nothing but the name is looked at. */
const NO_HTTP: ReadonlySet<unknown> = new Set([
  'HTTPParserError',
  'HeadersOverflowError',
  'ResponseContentLengthMismatchError',
]);

/** What Node says of a certificate; of all that it has no name for, as a key that is too short, UNSPECIFIED. */
const OF_CERTIFICATES =
  /CERT|SIGNATURE|^(?:INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|UNSPECIFIED)$/;

function failureOfError(error: unknown): BackendFailure | NoAnswer {
  const { name, code } = error as { readonly name?: unknown; readonly code?: unknown };
  if (NO_HTTP.has(name)) return failure('backend_failed', 'unexpected_answer');
  const isUntrusted = typeof code === 'string' && OF_CERTIFICATES.test(code);
  return { failure: isUntrusted ? UNTRUSTED : UNREACHABLE };
}

/** In one Buffer; undefined above `maxBytes`. The pieces are filled with zeros, whatever ends it. */
async function readBody(body: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of body) {
      pieces.push(piece);
      length += piece.length;
      if (length > maxBytes) return undefined;
    }
    const whole = allocateSecretBytes(length);
    let at = 0;
    for (const piece of pieces) {
      copySecretBytes(piece, whole, at);
      at += piece.length;
    }
    return whole;
  } finally {
    for (const piece of pieces) piece.fill(0);
  }
}
