import { setTimeout as sleep } from 'node:timers/promises';
import { SecretsApi } from './api.js';
import type { BackendSurroundings } from './backends/backend.js';
import type { Configuration } from './config/load.js';
import { buildApp, type Serving } from './http/app.js';
import type { Limits } from './limits.js';
import { createAudit } from './log/audit.js';
import { createLineWriter } from './log/line_writer.js';
import { createLogger } from './log/logger.js';
import { listenOnFile } from './os/socket_file.js';

/** How long an audit record may take to be written. */
const AUDIT_TIMEOUT_MS = 1_000;

/** What a caller may take to read an answer while the daemon is stopping. */
const LAST_ANSWER_MS = 2_000;

export interface Daemon {
  /** Lets requests in flight finish, answers later ones `shutting_down`, removes the socket. */
  stop(): Promise<void>;
}

export interface DaemonSurroundings extends BackendSurroundings {
  /** Where the log and the audit records go. */
  readonly logFd: number;
}

/** Serves a checked configuration. Rejects with a SocketError when the socket cannot be made. */
export async function startDaemon(
  configuration: Configuration,
  { environment, logFd }: DaemonSurroundings,
): Promise<Daemon> {
  const { identity, socket, limits, logLevel, registries, digest, loadedAt } = configuration;
  const writer = createLineWriter(logFd, AUDIT_TIMEOUT_MS);
  const log = createLogger(logLevel, writer);
  const serving: Serving = {
    identity,
    api: new SecretsApi(registries, { limits, environment }),
    config: { digest, loadedAt },
  };
  const built = buildApp({
    serving: () => serving,
    audit: createAudit((line) => writer.append(line)),
    log,
  });
  const { app } = built;
  await app.ready();
  const socketFile = await listenOnFile(app.server, socket).catch(async (error: unknown) => {
    await writer.close();
    throw error;
  });
  log.info({ event: 'listening', socket: socket.path, ...identity, digest });

  return {
    async stop() {
      log.info({ event: 'stopping' });
      await Promise.race([built.drain(), sleep(longestAnswer(limits), undefined, { ref: false })]);
      socketFile.remove();
      app.server.close();
      app.server.closeAllConnections();
      await app.close();
      log.info({ event: 'stopped' });
      await writer.close();
    },
  };
}

/** Milliseconds in which all that has been accepted is answered, even if every backend call takes all of its time. */
function longestAnswer({ backendConcurrency, queue, backendTimeoutMs }: Limits): number {
  const rounds = Math.ceil((queue + backendConcurrency) / backendConcurrency);
  return Math.min(rounds * backendTimeoutMs + LAST_ANSWER_MS, 2_147_483_647);
}
