import { once } from 'node:events';
import { join } from 'node:path';
import { SecretsApi } from '../../src/api.js';
import type { Backend } from '../../src/backends/backend.js';
import type { LogLevel } from '../../src/config/launch_config.js';
import type { RuntimeIdentity } from '../../src/domain/identity.js';
import { createGate } from '../../src/gate.js';
import { buildApp, type ConfigStatus, type BuiltApp, type Serving } from '../../src/http/app.js';
import { DEFAULT_LIMITS, type Limits } from '../../src/limits.js';
import { type Audit, type AuditRecord, createAudit } from '../../src/log/audit.js';
import { createLogger } from '../../src/log/logger.js';
import { createMetrics } from '../../src/metrics.js';
import type { PeerRule } from '../../src/os/peer.js';
import { createRetriever } from '../../src/retrieve.js';
import { type Ending, temporaryFolder } from './temporary.js';

export const IDENTITY: RuntimeIdentity = { machine: 'bridge', environment: 'dev', role: 'marketdata' };

export const SECRETS_DATA = {
  stores: { red: { backend: 'env', root: 'mxm/test' } },
  refs: {
    api_key: { store: 'red', path: 'api-key', policy: 'open' },
    another: { store: 'red', path: 'another', policy: 'open' },
    absent: { store: 'red', path: 'absent', policy: 'open' },
    guarded: { store: 'red', path: 'guarded', policy: 'closed' },
  },
  policies: { open: { allowed_principals: ['marketdata'] }, closed: { allowed_principals: ['somebody_else'] } },
};

export const ENVIRONMENT = {
  MXM_TEST_API_KEY: 'the value',
  MXM_TEST_ANOTHER: 'another value',
  MXM_TEST_GUARDED: 'guarded',
};

export interface TestAppOptions {
  readonly data?: Parameters<typeof SecretsApi.fromConfigData>[0];
  readonly environment?: Record<string, string>;
  readonly identity?: RuntimeIdentity;
  readonly limits?: Partial<Limits>;
  readonly connections?: number;
  readonly configStatus?: Partial<ConfigStatus>;
  /** Asked in place of every store's own. */
  readonly backend?: Backend;
  /** Changes what a request is answered with. */
  readonly serving?: (serving: Serving) => Serving;
  readonly append?: (line: string, alone?: boolean) => Promise<boolean>;
  readonly logLevel?: LogLevel;
  readonly allow?: PeerRule;
  readonly answerTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
}

export interface TestApp extends BuiltApp {
  readonly api: SecretsApi;
  /** The audit records that were written, in order. */
  readonly audit: (AuditRecord & { readonly event: string })[];
  /** The lines of the log, parsed. */
  readonly log: Record<string, unknown>[];
  /** Lets the app listen at a socket of its own and gives its path. */
  readonly listen: () => Promise<string>;
}

/** The routes over a real SecretsApi, with the log and the audit in memory. */
export function testApp(t: Ending, options: TestAppOptions = {}): TestApp {
  const { data = SECRETS_DATA, environment = ENVIRONMENT, identity = IDENTITY, backend } = options;
  const { append = () => Promise.resolve(true), logLevel = 'info' } = options;
  const limits = { ...DEFAULT_LIMITS, backendConcurrency: 8, ...options.limits }; // on any number of cores
  const gate = createGate(() => limits);
  const configStatus = { digest: 'sha256:0', loadedAt: new Date(0), lastError: null, ...options.configStatus };
  const api = SecretsApi.fromConfigData(data, { environment, limits, gate });
  if (backend !== undefined) askOnly(api, backend, limits);
  const serving: Serving = { identity, api, connections: options.connections ?? 512 };

  const audit: TestApp['audit'] = [];
  const recorder: Audit = createAudit(async (line, alone) => {
    const written = await append(line, alone);
    if (written) audit.push(JSON.parse(line) as TestApp['audit'][number]);
    return written;
  });
  const log: TestApp['log'] = [];
  const logger = createLogger(logLevel, {
    write(line) {
      log.push(JSON.parse(line) as Record<string, unknown>);
    },
  });

  const built = buildApp({
    serving: () => options.serving?.(serving) ?? serving,
    configStatus: () => configStatus,
    audit: recorder,
    metrics: createMetrics({ gate, config: () => configStatus }),
    log: logger,
    allow: options.allow,
    ...(options.answerTimeoutMs !== undefined && { answerTimeoutMs: options.answerTimeoutMs }),
    ...(options.idleTimeoutMs !== undefined && { idleTimeoutMs: options.idleTimeoutMs }),
  });
  t.teardown(async () => {
    built.app.server.closeAllConnections();
    await built.app.close();
  });
  return {
    ...built,
    api,
    audit,
    log,
    async listen() {
      const path = join(temporaryFolder(t), 's.sock');
      await built.app.ready();
      built.app.server.listen(path);
      await once(built.app.server, 'listening');
      return path;
    },
  };
}

function askOnly(api: SecretsApi, backend: Backend, limits: Limits): void {
  const retriever = createRetriever({
    backendOf: () => backend,
    gate: createGate(() => limits),
    limits,
    onAnswer: () => undefined,
  });
  api.retrieve = ({ ref }, signal) =>
    retriever.retrieve({ ref, store: api.storeOf(ref)!, location: `${ref.store}/${ref.path}` }, signal);
}
