import * as Type from '@sinclair/typebox';
import { cleanText, closedObject, forEditors, hasBadSegment, headerText, SEGMENTS_PATTERN } from '../config/schema.js';
import { childOf, escapePointer } from '../config/pointer.js';
import type { SecretStore } from '../domain/secrets.js';
import type { EndSignal } from '../ending.js';
import {
  type Backend,
  type BackendAnswer,
  type BackendFailure,
  type BackendKind,
  type BackendRequest,
  type BackendSurroundings,
  failure,
  type ProbeAnswer,
} from './backend.js';
import { jsonTextAt } from './json_text.js';
import { ADDRESS_PATTERN, parseAddress, type ServerAddress } from './openbao_address.js';
import { type Client, createClient } from './openbao_client.js';
import { type TokenSource, tokensOfAppRole, tokensOfFile } from './openbao_tokens.js';
import { expandStorePath } from './store_path.js';

const DEFAULT_MOUNT = 'secret';
const DEFAULT_AUTH_MOUNT = 'approle';
const DEFAULT_FIELD = 'value';

/** A byte of a value takes 6 in JSON at most; an answer holds metadata beside it. */
const JSON_GROWTH = 6;
const METADATA_BYTES = 65_536;

/** A token whose uses are counted may have been used up by others before its turn comes. */
const TOKEN_TRIES = 3;

const CREDENTIALS_MISSING = failure('backend_unavailable', 'credentials_missing');
const TOKEN_REFUSED = failure('backend_failed', 'token_refused');
const DENIED = failure('backend_failed', 'server_denied');
const UNEXPECTED = failure('backend_failed', 'unexpected_answer');

/** The shape that the schema and `checkKeys` leave. */
interface Options {
  readonly address: string | readonly string[];
  readonly mount?: string;
  readonly namespace?: string;
  readonly ca_file?: string;
  readonly auth:
    | { readonly token_file: string }
    | { readonly role_id_file: string; readonly secret_id_file: string; readonly mount?: string };
}

const ADDRESS_RULE =
  'must be an address or a list of addresses: https://HOST[:PORT], http:// on loopback, or unix:/PATH';

const address = cleanText(forEditors({ pattern: ADDRESS_PATTERN }));

const ofMount = forEditors({ pattern: `^${SEGMENTS_PATTERN}$` });

export const openbaoKind: BackendKind = {
  storeKeys: {
    address: Type.Union(
      [address, Type.Array(address, { minItems: 1, rule: ADDRESS_RULE, ...forEditors({ uniqueItems: true }) })],
      {
        description: 'where the server listens, or a list of servers of one cluster',
        rule: ADDRESS_RULE,
      },
    ),
    mount: Type.Optional(
      cleanText({ default: DEFAULT_MOUNT, description: 'where the KV engine is mounted', ...ofMount }),
    ),
    namespace: Type.Optional(headerText({ description: 'the namespace of the mounts' })),
    ca_file: Type.Optional(cleanText({ description: 'trusted certificates in PEM form; default: those of Node' })),
    auth: closedObject(
      {
        token_file: Type.Optional(cleanText({ description: 'a file with a token' })),
        role_id_file: Type.Optional(cleanText({ description: 'a file with the role id of an AppRole' })),
        secret_id_file: Type.Optional(cleanText({ description: 'a file with a secret id of the AppRole' })),
        mount: Type.Optional(
          cleanText({ default: DEFAULT_AUTH_MOUNT, description: 'where the AppRole engine is mounted', ...ofMount }),
        ),
      },
      {
        description: 'token_file, or role_id_file and secret_id_file',
        ...forEditors({
          oneOf: [
            { properties: { token_file: true }, required: ['token_file'], maxProperties: 1 },
            {
              properties: { role_id_file: true, secret_id_file: true, token_file: false },
              required: ['role_id_file', 'secret_id_file'],
            },
          ],
        }),
      },
    ),
  },
  checkKeys,
  fields: true,
  rootIsDirectory: false,
  checkRoot: () => null,
  checkPath: () => null,
  open,
};

function checkKeys(at: (pointer: string) => unknown, tell: (pointer: string, message: string) => void): void {
  checkAddresses(at, tell);
  for (const pointer of ['/mount', '/auth/mount']) {
    const mount = at(pointer);
    if (typeof mount === 'string' && hasBadSegment(mount)) {
      tell(pointer, 'must not have an empty, "." or ".." segment, nor begin or end with "/"');
    }
  }
  const auth = at('/auth');
  if (auth === undefined) return;
  const has = (key: string): boolean => childOf(auth, key) !== undefined;
  const ofAppRole = ['role_id_file', 'secret_id_file'];
  if (has('token_file')) {
    for (const key of [...ofAppRole, 'mount'].filter(has)) {
      tell(`/auth/${key}`, 'is for an AppRole: with "token_file" there is no other key');
    }
  } else if (!ofAppRole.some(has)) {
    // One that is misspelt has been told.
    const isWhole = Object.keys(auth as object).every((key) => at(`/auth/${escapePointer(key)}`) !== undefined);
    if (isWhole) tell('/auth', 'must have "token_file", or "role_id_file" and "secret_id_file"');
  } else {
    for (const key of ofAppRole.filter((key) => !has(key))) {
      tell(`/auth/${key}`, 'is missing: an AppRole has "role_id_file" and "secret_id_file"');
    }
  }
}

function checkAddresses(at: (pointer: string) => unknown, tell: (pointer: string, message: string) => void): void {
  const seen = new Map<string, number>();
  const address = at('/address');
  const pointers = Array.isArray(address) ? address.map((_, index) => `/address/${index}`) : ['/address'];
  for (const [index, pointer] of pointers.entries()) {
    const text = at(pointer) as string | undefined;
    if (text === undefined) continue; // told by the schema
    const parsed = parseAddress(text);
    if ('wrong' in parsed) {
      tell(pointer, parsed.wrong);
      continue;
    }
    const place = parsed.socketPath ?? parsed.origin;
    const first = seen.get(place);
    if (first !== undefined) tell(pointer, `is the same address as [${first}]`);
    else seen.set(place, index);
  }
}

/** The segments are what is asked for, whatever characters they are made of. */
function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function addressesOf({ address }: Options): ServerAddress[] {
  return [address].flat().map((text) => parseAddress(text) as ServerAddress);
}

/** Undefined where a file is among the credentials of a unit and there are none. */
function tokensOf(
  { auth }: Options,
  ask: Client,
  fileOf: (path: string) => string | undefined,
): TokenSource | undefined {
  if ('token_file' in auth) {
    const file = fileOf(auth.token_file);
    return file === undefined ? undefined : tokensOfFile(file);
  }
  const [roleIdFile, secretIdFile] = [fileOf(auth.role_id_file), fileOf(auth.secret_id_file)];
  if (roleIdFile === undefined || secretIdFile === undefined) return undefined;
  return tokensOfAppRole(ask, { roleIdFile, secretIdFile, mount: encodePath(auth.mount ?? DEFAULT_AUTH_MOUNT) });
}

function open(store: SecretStore, { environment }: BackendSurroundings): Backend {
  const options = store.options as unknown as Options;
  let connection: Connection | BackendFailure | undefined;

  function connect(): Connection | BackendFailure {
    const fileOf = (path: string): string | undefined => expandStorePath(path, store, environment);
    const caFile = options.ca_file === undefined ? undefined : fileOf(options.ca_file);
    const ask = createClient({ addresses: addressesOf(options), namespace: options.namespace, caFile });
    const tokens = tokensOf(options, ask, fileOf);
    const isMissing = tokens === undefined || (options.ca_file !== undefined && caFile === undefined);
    return isMissing ? CREDENTIALS_MISSING : { ask, tokens, mount: encodePath(options.mount ?? DEFAULT_MOUNT) };
  }

  const connected = (): Connection | BackendFailure => (connection ??= connect());

  return {
    async fetch(request) {
      const connection = connected();
      return 'code' in connection ? connection : readSecret(connection, request);
    },
    async probe(signal) {
      const connection = connected();
      if ('code' in connection) return connection;
      return withToken(connection, signal, async (token): Promise<ProbeAnswer | 'refused'> => {
        const seen = await lookAtMount(connection, token, signal);
        if (seen === 'kv2') return { ok: true };
        if (seen === 'other') return failure('backend_unavailable', 'not_kv2');
        return seen === 'denied' ? DENIED : seen;
      });
    },
  };
}

/** An opened store. */
interface Connection {
  readonly ask: Client;
  readonly tokens: TokenSource;
  /** Percent-encoded. */
  readonly mount: string;
}

function readSecret(connection: Connection, request: BackendRequest): Promise<BackendAnswer> {
  const { ask, mount } = connection;
  const { location, field = DEFAULT_FIELD, maxBytes, signal } = request;
  const path = `${mount}/data/${encodePath(location.replace(/^\/+/, ''))}`;
  return withToken(connection, signal, async (token): Promise<BackendAnswer | 'refused'> => {
    const answer = await ask({
      method: 'GET',
      path,
      token,
      maxBytes: maxBytes * JSON_GROWTH + METADATA_BYTES,
      signal,
    });
    if (!('status' in answer)) return answer;
    try {
      switch (answer.status) {
        case 200:
          return valueOf(answer.body, field);
        case 403: {
          const seen = await lookAtMount(connection, token, signal);
          return typeof seen === 'string' && seen !== 'refused' ? DENIED : seen;
        }
        case 404:
          return failure('secret_not_found', 'entry_missing');
        default:
          return UNEXPECTED;
      }
    } finally {
      answer.body.fill(0);
    }
  });
}

function valueOf(body: Buffer, field: string): BackendAnswer {
  const place = jsonTextAt(body, ['data', 'data', field]);
  switch (place.kind) {
    case 'text':
      return { ok: true, value: place.value };
    case 'no_text':
      return failure('backend_failed', 'field_not_text');
    case 'missing':
      return failure('secret_not_found', 'field_missing');
    case 'malformed':
      return UNEXPECTED;
  }
}

/**
 * What the server lets this token see of the mount: what `bao kv get` asks too before it reads. It needs no right of its
 * own beside some right below the mount, and so tells a token that is not accepted from one that may not read a path.
 */
async function lookAtMount(
  { ask, mount }: Connection,
  token: string,
  signal: EndSignal,
): Promise<'kv2' | 'other' | 'denied' | 'refused' | BackendFailure> {
  const answer = await ask({
    method: 'GET',
    path: `sys/internal/ui/mounts/${mount}`,
    token,
    maxBytes: METADATA_BYTES,
    signal,
  });
  if (!('status' in answer)) return answer;
  const { status, body } = answer;
  if (status === 403) return body.includes('preflight capability check') ? 'denied' : 'refused';
  if (status !== 200) return UNEXPECTED;
  const version = jsonTextAt(body, ['data', 'options', 'version']);
  if (version.kind === 'malformed') return UNEXPECTED;
  return version.kind === 'text' && version.value.toString() === '2' ? 'kv2' : 'other';
}

/** Again with another token where the server does not accept one. */
async function withToken<T extends object>(
  { tokens }: Connection,
  signal: EndSignal,
  use: (token: string) => Promise<T | BackendFailure | 'refused'>,
): Promise<T | BackendFailure> {
  let token: string | BackendFailure | undefined = await tokens.token(signal);
  for (let tries = 1; typeof token === 'string'; tries += 1) {
    const answer = await use(token);
    if (answer !== 'refused') return answer;
    token = tries === TOKEN_TRIES ? undefined : await tokens.another(token, signal);
  }
  return token ?? TOKEN_REFUSED;
}
