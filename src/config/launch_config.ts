import { isAbsolute, join, resolve } from 'node:path';
import { DEFAULT_LIMITS, type Limits } from '../limits.js';
import type { RuntimeIdentity } from '../domain/identity.js';
import { findGroup, MAX_GID } from '../os/groups.js';
import { isMapping } from './pointer.js';
import {
  check,
  type Checked,
  cleanText,
  closedObject,
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

const DEFAULT_CONNECTIONS = 512;

const MAX_TIMER_MS = 2_147_483_647;

export const LAUNCH_SCHEMA = closedObject({
  identity: closedObject(
    {
      machine: cleanText({ description: 'the machine this runs on' }),
      environment: cleanText({ description: 'the environment this runs in: dev, prod, …' }),
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
        Type.Union([cleanText(), wholeNumber(0, MAX_GID)], {
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
        connections: Type.Optional(
          wholeNumber(1, 1_000_000, {
            default: DEFAULT_CONNECTIONS,
            description: 'open connections; above it `overloaded`, above twice it closed',
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
        audit_file: Type.Optional(
          cleanText({ description: 'where audit records go instead of stdout; relative to this file' }),
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
  readonly connections: number;
  readonly logLevel: LogLevel;
  /** Absolute. */
  readonly auditFile?: string;
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
}

/** Checks the data of the launch file, which stands in `folder`, and tells every problem. */
export function checkLaunch(data: unknown, folder: string, report: Report): CheckedLaunch {
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
    tell('/socket/group', 'is no group in /etc/group; groups from elsewhere are named by their gid');
  }
  const fits = problems === 0;
  return {
    config: fits ? launchConfig(data as RawLaunch, folder, gid) : undefined,
    secrets: secretsPlace(data, checked, folder),
  };
}

function launchConfig(data: RawLaunch, folder: string, gid: number | undefined): LaunchConfig {
  const { identity, socket, limits = {}, log = {} } = data;
  return {
    identity: Object.freeze({ ...identity }),
    socket: {
      path: resolve(folder, socket.path),
      mode: Number.parseInt(socket.mode ?? '0600', 8),
      ...(gid !== undefined && { gid }),
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
