import { Server as NetServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { SecretsApi } from './api.js';
import type { BackendSurroundings } from './backends/backend.js';
import { variablesOf } from './backends/env.js';
import type { Configuration } from './config/load.js';
import { ConfigError } from './config/problems.js';
import type { SecretStore } from './domain/secrets.js';
import { createGate } from './gate.js';
import { buildApp, type ConfigStatus, type Serving } from './http/app.js';
import { watchIdleness } from './idleness.js';
import type { Limits } from './limits.js';
import { createAudit } from './log/audit.js';
import { type AuditFile, openAuditFile } from './log/audit_file.js';
import { createLineWriter } from './log/line_writer.js';
import { createLogger, kindOf } from './log/logger.js';
import { outputEndsWithinLine } from './log/torn_line.js';
import { createMetrics } from './metrics.js';
import { descriptorLimit } from './os/descriptors.js';
import type { OpenWay } from './os/hardening.js';
import { type InheritedSocket, listenOnInherited } from './os/inherited_socket.js';
import { findServiceManager, type ServiceManager } from './os/service_manager.js';
import { listenOnFile, type OwnedSocketFile } from './os/socket_file.js';
import { describeSystemError } from './os/system_error.js';
import { createServiceStatus } from './service_status.js';
import { MAX_TIMER_MS } from './timer.js';

/** How long an audit record may take to be written. */
const AUDIT_TIMEOUT_MS = 1_000;

/** What a caller may take to read an answer while the daemon is stopping. */
const LAST_ANSWER_MS = 2_000;

/** Files that the daemon has open beside its connections, those of backend calls included, with some to spare. */
const OTHER_DESCRIPTORS = 64;

export interface Daemon {
  /**
   * Reads the configuration again and swaps it in as one; in error, or with another identity or socket, the last good
   * one stays. Either way the audit file is opened anew, if another stands there by now.
   */
  reload(): void;
  /** Lets requests in flight finish, answers later ones `shutting_down`, removes the socket. */
  stop(): Promise<void>;
  /** Resolves when the daemon has stopped by itself, as nothing was asked for. */
  readonly left: Promise<void>;
}

export interface DaemonSurroundings extends BackendSurroundings {
  /** Where the log goes, and the audit records without a file of their own. */
  readonly logFd: number;
  /** Listened on in place of a socket of the daemon's own. */
  readonly inherited?: InheritedSocket | null;
  readonly manager?: ServiceManager;
  /** What could not be hardened. */
  readonly openWays?: readonly OpenWay[];
}

/**
 * Serves what `load` gives. Rejects with a ConfigError, or with a SocketError when the socket cannot be made.
 */
export async function startDaemon(load: () => Configuration, surroundings: DaemonSurroundings): Promise<Daemon> {
  const { environment, taken, logFd, inherited = null, manager = findServiceManager({}), openWays = [] } = surroundings;
  let configuration = load();
  let auditFile = openAudit(configuration);
  let lastError: ConfigStatus['lastError'] = null;
  const writer = createLineWriter(logFd, AUDIT_TIMEOUT_MS, outputEndsWithinLine(logFd));
  const log = createLogger(configuration.logLevel, writer);
  const gate = createGate(() => configuration.limits);
  const metrics = createMetrics({ gate, config: () => configuration });
  /** Of all that was served: requests in flight keep their configuration, while the gate has the last one's limits. */
  let widest: WaitLimits = configuration.limits;
  let serving = serve(configuration);
  let ending: Promise<void> | undefined;

  const built = buildApp({
    serving: () => serving,
    configStatus: () => ({ digest: configuration.digest, loadedAt: configuration.loadedAt, lastError }),
    audit: createAudit((line, alone) => (auditFile ?? writer).append(line, alone)),
    metrics,
    log,
    allow: configuration.socket.allow,
  });
  const { app, quietSince } = built;
  await app.ready();
  const socket = await listen().catch(async (error: unknown) => {
    await closeLogs();
    throw error;
  });
  const { identity, digest } = configuration;
  log.info({ event: 'listening', socket: socket.path, ...identity, digest });
  if (openWays.length > 0) log.warn({ event: 'hardening_incomplete', open: openWays });
  warnOfShortage();

  const status = createServiceStatus({ manager, serving: () => serving, lastError: () => lastError, quietSince, log });
  status.ready();
  let tellLeft = (): void => undefined;
  const left = new Promise<void>((resolve) => (tellLeft = resolve));
  const idleness = watchIdleness({
    limitMs: () => configuration.idleExitMs,
    quietSince,
    onIdle() {
      ending ??= leave().then(tellLeft);
    },
  });
  idleness.look();

  /** Where it listens, and what is to be removed afterwards. */
  async function listen(): Promise<Pick<OwnedSocketFile, 'remove'> & { readonly path: string }> {
    if (inherited === null) {
      const file = { ...configuration.socket, path: configuration.socket.path as string };
      return { path: file.path, ...(await listenOnFile(app.server, file)) };
    }
    await listenOnInherited(app.server, inherited);
    return { path: inherited.path, remove: () => undefined };
  }

  function serve({ identity, registries, limits, connections }: Configuration, replaces?: SecretsApi): Serving {
    const api = new SecretsApi(registries, { limits, environment, taken, gate, replaces, onBackendCall });
    taken?.take(variablesOf(registries));
    widest = widestOf(widest, limits);
    return { identity, api, connections };
  }

  function warnOfShortage(): void {
    const limit = descriptorLimit();
    const needed = 2 * configuration.connections + OTHER_DESCRIPTORS;
    if (limit !== undefined && limit < needed) log.warn({ event: 'descriptors_short', limit, needed });
  }

  function onBackendCall({ name, backend }: SecretStore, seconds: number): void {
    metrics.observeBackend(name, backend, seconds);
  }

  async function stop(): Promise<void> {
    tellEnd();
    if (inherited !== null) acceptNoMore();
    await within(longestCalls(widest), built.drain());
    socket.remove();
    await within(LAST_ANSWER_MS, finish());
    await close();
  }

  /** Who has connected before the socket was removed is answered, too. */
  async function finish(): Promise<void> {
    if (inherited === null) {
      await built.takeIn();
      acceptNoMore();
    }
    await built.finish();
  }

  /** What has been sent before is answered. */
  async function leave(): Promise<void> {
    tellEnd();
    acceptNoMore();
    await within(longestCalls(widest) + LAST_ANSWER_MS, built.finish());
    await close();
  }

  /** What connects from now on waits for the next daemon on the inherited socket. */
  function acceptNoMore(): void {
    NetServer.prototype.close.call(app.server); // that of HTTP would drop idle connections, whatever they have sent
  }

  function tellEnd(): void {
    idleness.stop();
    status.stop();
    manager.stopping();
    log.info({ event: 'stopping' });
  }

  async function close(): Promise<void> {
    await Promise.all([built.disconnect(), app.close()]);
    log.info({ event: 'stopped' });
    await closeLogs();
  }

  function swapAudit(next: Configuration): void {
    // What a FIFO has not yet taken of a record is written on later: another writer would begin within it.
    if (next.auditFile !== undefined && auditFile?.isAt(next.auditFile) === true) return;
    const opened = openAudit(next);
    void auditFile?.close();
    auditFile = opened;
  }

  /** It may have been rotated, whatever is wrong with the configuration. */
  function reopenAudit(): void {
    try {
      swapAudit(configuration);
    } catch {
      // The one that is open takes the records on, and none is lost.
    }
  }

  async function closeLogs(): Promise<void> {
    await Promise.all([writer.close(), auditFile?.close()]);
  }

  return {
    left,
    reload() {
      manager.reloading();
      try {
        const next = load();
        refuseChanges(configuration, next);
        swapAudit(next);
        configuration = next;
        gate.admit();
        serving = serve(next, serving.api);
        lastError = null;
        log.level = next.logLevel;
        log.info({ event: 'reloaded', digest: next.digest });
        warnOfShortage();
      } catch (error) {
        // Of a defect no more than its kind is told, and it ends no service either.
        const message = error instanceof ConfigError ? error.message : kindOf(error);
        lastError = { at: new Date(), message };
        log.error({ event: 'reload_refused', problems: message.split('\n') });
        reopenAudit();
      }
      status.ready();
      idleness.look();
    },
    stop() {
      ending ??= stop();
      return ending;
    },
  };
}

function openAudit({ auditFile: path, auditPlace, launchFile }: Configuration): AuditFile | undefined {
  if (path === undefined) return undefined;
  try {
    return openAuditFile(path, AUDIT_TIMEOUT_MS);
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'ENXIO'
        ? 'nobody reads the FIFO, or it is a socket: start its reader, or name another file'
        : `${describeSystemError(error)}: let the daemon's user make, read and write it, or name another file`;
    const message = `cannot be opened: ${why}`;
    throw new ConfigError([{ file: launchFile, ...auditPlace, path: 'log.audit_file', message }]);
  }
}

/** Callers have been told who they talk to and where: that is for another start. */
function refuseChanges(current: Configuration, next: Configuration): void {
  const message = 'cannot change by reload: restart the daemon';
  const problems = (['identity', 'socket'] as const)
    .filter((key) => !isDeepStrictEqual(current[key], next[key]))
    .map((path) => ({ file: next.launchFile, path, message }));
  if (problems.length > 0) throw new ConfigError(problems);
}

/** What bounds the time that callers wait. */
type WaitLimits = Pick<Limits, 'backendConcurrency' | 'queue' | 'backendTimeoutMs'>;

function widestOf(one: WaitLimits, other: WaitLimits): WaitLimits {
  return {
    backendConcurrency: Math.min(one.backendConcurrency, other.backendConcurrency),
    queue: Math.max(one.queue, other.queue),
    backendTimeoutMs: Math.max(one.backendTimeoutMs, other.backendTimeoutMs),
  };
}

/** Milliseconds in which all that has been accepted is fetched, even if every backend call takes all of its time. */
function longestCalls({ backendConcurrency, queue, backendTimeoutMs }: WaitLimits): number {
  return Math.ceil((queue + backendConcurrency) / backendConcurrency) * backendTimeoutMs;
}

async function within(limitMs: number, done: Promise<void>): Promise<void> {
  await Promise.race([done, sleep(Math.min(limitMs, MAX_TIMER_MS), undefined, { ref: false })]);
}
