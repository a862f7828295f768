import { isAbsolute, join, resolve } from 'node:path';
import * as Type from '@sinclair/typebox';
import { DEFAULT_LIMITS, LIMIT_RANGES, type Limits } from '../limits.js';
import type { RuntimeIdentity } from '../domain/identity.js';
import { MAX_SOCKET_PATH_BYTES } from '../domain/socket_path.js';
import { findGroup, findUser, MAX_ID } from '../os/accounts.js';
import { native } from '../os/native.js';
import type { PeerRule } from '../os/peer.js';
import { MAX_TIMER_MS } from '../timer.js';
import { IDENTITY_SCHEMA } from './identity.js';
import { childOf, isMapping, splitPointer } from './pointer.js';
import { check, type Checked, cleanText, closedObject, octalMode, oneOf, type Report, wholeNumber } from './schema.js';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const DEFAULT_CONNECTIONS = 512;

const UNKNOWN_GROUP = 'is no group in /etc/group; groups from elsewhere are named by their gid';

function account(what: string, kind: 'user' | 'group', idName: string) {
  return Type.Union([cleanText(), wholeNumber(0, MAX_ID)], {
    description: `${what}: name or ${idName}`,
    rule: `must be the name of a ${kind} or a ${idName}`,
  });
}

export const LAUNCH_SCHEMA = closedObject({
  identity: IDENTITY_SCHEMA,
  secrets: cleanText({ description: 'the secrets file; relative to this file' }),
  secrets_section: Type.Optional(cleanText({ description: 'the key of a larger file that holds the three sections' })),
  socket: Type.Optional(
    closedObject(
      {
        path: Type.Optional(cleanText({ description: 'where to listen; relative to this file' })),
        mode: Type.Optional(octalMode({ default: '0600', description: 'mode of the socket' })),
        group: Type.Optional(account('group of the socket', 'group', 'gid')),
        allow: Type.Optional(
          closedObject(
            {
              users: Type.Optional(
                Type.Array(account('a user', 'user', 'uid'), { description: 'users who may ask: names or uids' }),
              ),
              groups: Type.Optional(
                Type.Array(account('a group', 'group', 'gid'), { description: 'groups who may ask: names or gids' }),
              ),
            },
            { description: 'the only peers that may ask for anything but health' },
          ),
        ),
      },
      { description: 'the Unix socket' },
    ),
  ),
  limits: Type.Optional(
    closedObject(
      {
        backend_concurrency: Type.Optional(
          wholeNumber(...LIMIT_RANGES.backendConcurrency, {
            description: 'backend calls at once; default: the number of cores',
          }),
        ),
        queue: Type.Optional(
          wholeNumber(...LIMIT_RANGES.queue, { default: DEFAULT_LIMITS.queue, description: 'backend calls that wait' }),
        ),
        backend_timeout_ms: Type.Optional(
          wholeNumber(...LIMIT_RANGES.backendTimeoutMs, {
            default: DEFAULT_LIMITS.backendTimeoutMs,
            description: 'after this a backend call is killed',
          }),
        ),
        connections: Type.Optional(
          wholeNumber(1, 1_000_000, {
            default: DEFAULT_CONNECTIONS,
            description: 'open connections; above it `overloaded`, above twice it closed',
          }),
        ),
        max_value_bytes: Type.Optional(
          wholeNumber(...LIMIT_RANGES.maxValueBytes, {
            default: DEFAULT_LIMITS.maxValueBytes,
            description: 'of the value; with `field`, of the entry',
          }),
        ),
      },
      { description: 'bounds' },
    ),
  ),
  log: Type.Optional(
    closedObject(
      {
        level: Type.Optional(
          oneOf(LOG_LEVELS, { default: 'info', description: 'of the log; audit records do not depend on it' }),
        ),
        audit_file: Type.Optional(
          cleanText({ description: 'where audit records go instead of stdout; relative to this file' }),
        ),
      },
      { description: 'the log on stdout' },
    ),
  ),
  idle_exit_s: Type.Optional(
    wholeNumber(1, Math.floor(MAX_TIMER_MS / 1_000), {
      description: 'seconds without a request after which the daemon leaves; only with an inherited socket',
    }),
  ),
});

type RawLaunch = Type.Static<typeof LAUNCH_SCHEMA>;

export interface SocketConfig {
  /** Absolute; absent where only an inherited socket will do. */
  readonly path?: string;
  readonly mode: number;
  readonly gid?: number;
  /** Absent: whoever can connect may ask. */
  readonly allow?: PeerRule;
}

export interface LaunchConfig {
  readonly identity: RuntimeIdentity;
  readonly socket: SocketConfig;
  readonly limits: Limits;
  readonly connections: number;
  readonly logLevel: LogLevel;
  /** Absolute. */
  readonly auditFile?: string;
  /** Milliseconds. */
  readonly idleExitMs?: number;
}

export interface LaunchSurroundings {
  /** Whose socket the daemon is about to listen on; absent where nobody is about to listen. */
  readonly listensOn?: 'own' | 'inherited';
  /** Whether it can be told who connects. */
  readonly tellsPeers?: boolean;
}

/** Where the secrets are: known even of a launch file that has other problems, so that both are reported at once. */
export interface SecretsPlace {
  /** Relative to the working directory when the launch file was named so. */
  readonly file: string;
  readonly section?: string;
}

export interface CheckedLaunch {
  /** Undefined when there is a problem. */
  readonly config: LaunchConfig | undefined;
  /** Undefined when what says it is wrong. */
  readonly secrets: SecretsPlace | undefined;
  /** Absolute; undefined when there is none, or what says it is wrong. */
  readonly auditFile: string | undefined;
}

/** Checks the data of the launch file, which stands in `folder`, and tells every problem. */
export function checkLaunch(
  data: unknown,
  folder: string,
  report: Report,
  { listensOn, tellsPeers = native !== null }: LaunchSurroundings = {},
): CheckedLaunch {
  let problems = 0;
  const tell: Report = (pointer, message, at) => {
    problems += 1;
    report(pointer, message, at);
  };
  const checked = check(LAUNCH_SCHEMA, data, '', tell);

  const socketPath = checked.at('/socket/path') as string | undefined;
  if (socketPath !== undefined && Buffer.byteLength(resolve(folder, socketPath)) > MAX_SOCKET_PATH_BYTES) {
    tell(
      '/socket/path',
      `is longer than the ${MAX_SOCKET_PATH_BYTES} bytes that a socket's path may have (as an absolute path)`,
    );
  }
  const group = checked.at('/socket/group') as string | number | undefined;
  const gid = group === undefined ? undefined : findGroup(group);
  if (group !== undefined && gid === undefined) {
    tell('/socket/group', UNKNOWN_GROUP);
  }
  const allow = allowedPeers(checked, tell);
  if (allow !== undefined && !tellsPeers) {
    tell('/socket/allow', 'cannot be kept here, as it cannot be told who connects: remove it, and use mode and group');
  }
  if (listensOn === 'own' && isMapping(data)) {
    const place = isMapping(data['socket']) ? '/socket/path' : '/socket';
    if (isMissing(data, place)) tell(place, 'is missing: where to listen, as no socket is inherited');
    if (!isMissing(data, '/idle_exit_s')) {
      tell('/idle_exit_s', 'is for an inherited socket, and there is none: nobody would start the daemon again', 'key');
    }
  }
  const auditFile = checked.at('/log/audit_file') as string | undefined;
  const fits = problems === 0;
  return {
    config: fits ? launchConfig(data as RawLaunch, folder, gid, allow) : undefined,
    secrets: secretsPlace(data, checked, folder),
    auditFile: auditFile === undefined ? undefined : resolve(folder, auditFile),
  };
}

function isMissing(data: object, pointer: string): boolean {
  return splitPointer(pointer).reduce<unknown>(childOf, data) === undefined;
}

/** Undefined where everybody is allowed. */
function allowedPeers(checked: Checked, tell: Report): PeerRule | undefined {
  if (checked.at('/socket/allow') === undefined) return undefined;
  function ids(pointer: string, find: (name: string | number) => number | undefined, unknown: string): number[] {
    const list = checked.at(pointer);
    const names = Array.isArray(list) ? list.map((_, index) => checked.at(`${pointer}/${index}`)) : [];
    return names.flatMap((name, index) => {
      if (typeof name !== 'string' && typeof name !== 'number') return []; // told by the schema
      const id = find(name);
      if (id === undefined) tell(`${pointer}/${index}`, unknown);
      return id ?? [];
    });
  }
  return {
    uids: ids(
      '/socket/allow/users',
      findUser,
      'is no user in /etc/passwd; users from elsewhere are named by their uid',
    ),
    gids: ids('/socket/allow/groups', findGroup, UNKNOWN_GROUP),
  };
}

function launchConfig(
  data: RawLaunch,
  folder: string,
  gid: number | undefined,
  allow: PeerRule | undefined,
): LaunchConfig {
  const { identity, socket = {}, limits = {}, log = {} } = data;
  return {
    identity: Object.freeze({ ...identity }),
    socket: {
      ...(socket.path !== undefined && { path: resolve(folder, socket.path) }),
      mode: Number.parseInt(socket.mode ?? '0600', 8),
      ...(gid !== undefined && { gid }),
      ...(allow !== undefined && { allow }),
    },
    limits: {
      backendConcurrency: limits.backend_concurrency ?? DEFAULT_LIMITS.backendConcurrency,
      queue: limits.queue ?? DEFAULT_LIMITS.queue,
      backendTimeoutMs: limits.backend_timeout_ms ?? DEFAULT_LIMITS.backendTimeoutMs,
      maxValueBytes: limits.max_value_bytes ?? DEFAULT_LIMITS.maxValueBytes,
    },
    connections: limits.connections ?? DEFAULT_CONNECTIONS,
    logLevel: log.level ?? 'info',
    ...(log.audit_file !== undefined && { auditFile: resolve(folder, log.audit_file) }),
    ...(data.idle_exit_s !== undefined && { idleExitMs: data.idle_exit_s * 1_000 }),
  };
}

function secretsPlace(data: unknown, checked: Checked, folder: string): SecretsPlace | undefined {
  const secrets = checked.at('/secrets') as string | undefined;
  const section = checked.at('/secrets_section') as string | undefined;
  const hasSection = isMapping(data) && Object.hasOwn(data, 'secrets_section');
  if (secrets === undefined || (hasSection && section === undefined)) return undefined;
  return {
    file: isAbsolute(secrets) ? secrets : join(folder, secrets),
    ...(section !== undefined && { section }),
  };
}
