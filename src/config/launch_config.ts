import { isAbsolute, join, resolve } from 'node:path';
import { DEFAULT_LIMITS, type Limits } from '../limits.js';
import type { RuntimeIdentity } from '../domain/identity.js';
import { findGroup } from '../os/groups.js';
import {
  cleanText,
  closedObject,
  fits,
  identifier,
  octalMode,
  oneOf,
  type Report,
  type Static,
  Type,
  wholeNumber,
} from './schema.js';

/** The longest path that the address of a Unix socket can hold. */
const MAX_SOCKET_PATH_BYTES = 107;

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const MAX_TIMER_MS = 2_147_483_647;

export const LAUNCH_SCHEMA = closedObject({
  identity: closedObject(
    {
      machine: cleanText({ description: 'the machine this runs on' }),
      environment: cleanText({ description: 'dev, prod, …' }),
      role: identifier({ description: 'the principal that policies name' }),
      app: Type.Optional(cleanText({ description: 'the application this belongs to' })),
      substrate: Type.Optional(cleanText({ description: 'what this runs on: local-process, container, …' })),
    },
    { description: 'the runtime identity of this daemon' },
  ),
  secrets: cleanText({ description: 'the secrets file; relative to this file' }),
  secrets_section: Type.Optional(cleanText({ description: 'the key of a larger file that holds the three sections' })),
  socket: closedObject(
    {
      path: cleanText({ description: 'where to listen; relative to this file' }),
      mode: Type.Optional(octalMode({ default: '0600', description: 'mode of the socket' })),
      group: Type.Optional(
        Type.Union([cleanText(), wholeNumber(0, 4_294_967_294)], {
          description: 'group of the socket: name or gid',
          rule: 'must be the name of a group or a gid',
        }),
      ),
    },
    { description: 'the Unix socket' },
  ),
  limits: Type.Optional(
    closedObject(
      {
        backend_concurrency: Type.Optional(
          wholeNumber(1, 1_024, { description: 'backend calls at once; default: the number of cores' }),
        ),
        queue: Type.Optional(
          wholeNumber(0, 1_000_000, { default: DEFAULT_LIMITS.queue, description: 'backend calls that wait' }),
        ),
        backend_timeout_ms: Type.Optional(
          wholeNumber(1, MAX_TIMER_MS, {
            default: DEFAULT_LIMITS.backendTimeoutMs,
            description: 'after this a backend call is killed',
          }),
        ),
        max_value_bytes: Type.Optional(
          wholeNumber(1, 268_435_456, {
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
      },
      { description: 'the log on stdout' },
    ),
  ),
});

type RawLaunch = Static<typeof LAUNCH_SCHEMA>;

export interface SocketConfig {
  /** Absolute. */
  readonly path: string;
  readonly mode: number;
  readonly gid?: number;
}

export interface LaunchConfig {
  readonly identity: RuntimeIdentity;
  readonly socket: SocketConfig;
  readonly limits: Limits;
  readonly logLevel: LogLevel;
}

/** Where the secrets are: known even of a launch file that has other problems, so that both are reported at once. */
export interface SecretsPlace {
  /** Relative to the launch file's folder, as far as that is. */
  readonly file: string;
  readonly section?: string;
}

/** Checks the data of the launch file, which stands in `folder`, and tells every problem. */
export function checkLaunch(data: unknown, folder: string, report: Report): LaunchConfig | undefined {
  let problems = 0;
  const tell: Report = (pointer, message) => {
    problems += 1;
    report(pointer, message);
  };
  if (!fits(LAUNCH_SCHEMA, data, '', tell)) return undefined;
  const { identity, socket, limits = {}, log = {} } = data as RawLaunch;

  const path = resolve(folder, socket.path);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    tell(
      '/socket/path',
      `is longer than the ${MAX_SOCKET_PATH_BYTES} bytes that a socket's path may have (as an absolute path)`,
    );
  }
  const gid = socket.group === undefined ? undefined : findGroup(socket.group);
  if (socket.group !== undefined && gid === undefined) {
    tell('/socket/group', 'is no group of this machine (/etc/group); a gid works too');
  }
  if (problems > 0) return undefined;
  return {
    identity: Object.freeze({ ...identity }),
    socket: { path, mode: Number.parseInt(socket.mode ?? '0600', 8), ...(gid !== undefined && { gid }) },
    limits: {
      backendConcurrency: limits.backend_concurrency ?? DEFAULT_LIMITS.backendConcurrency,
      queue: limits.queue ?? DEFAULT_LIMITS.queue,
      backendTimeoutMs: limits.backend_timeout_ms ?? DEFAULT_LIMITS.backendTimeoutMs,
      maxValueBytes: limits.max_value_bytes ?? DEFAULT_LIMITS.maxValueBytes,
    },
    logLevel: log.level ?? 'info',
  };
}

export function secretsPlace(data: unknown, folder: string): SecretsPlace | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const { secrets, secrets_section: section } = data as Record<string, unknown>;
  if (typeof secrets !== 'string' || secrets === '') return undefined;
  return {
    file: isAbsolute(secrets) ? secrets : join(folder, secrets),
    ...(typeof section === 'string' && { section }),
  };
}
