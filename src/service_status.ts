import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { SecretsApi } from './api.js';
import { principalOf, type RuntimeIdentity } from './domain/identity.js';
import { kindOf } from './log/logger.js';
import type { ServiceManager } from './os/service_manager.js';
import type { StoreStatus } from './readiness.js';

/** Stores are looked at again after this, if something was asked for meanwhile. */
const REFRESH_MS = 10_000;

export interface ServiceStatusParts {
  readonly manager: ServiceManager;
  readonly serving: () => { readonly identity: RuntimeIdentity; readonly api: SecretsApi };
  /** Why the last reload was refused; null when it was not. */
  readonly lastError: () => { readonly message: string } | null;
  readonly quietSince: () => number | null;
  readonly log: Logger;
  readonly refreshMs?: number;
}

export interface ServiceStatus {
  /** Tells the service manager that requests are answered, and then how the stores are. */
  ready(): void;
  stop(): void;
}

/** Keeps the line up to date that `systemctl status` shows: what is served, or why it is not ready. */
export function createServiceStatus(parts: ServiceStatusParts): ServiceStatus {
  const { manager, serving, lastError, quietSince, log, refreshMs = REFRESH_MS } = parts;
  let lookedAt = 0;

  function describe(stores: ReadonlyMap<string, StoreStatus> | null): string {
    const { identity, api } = serving();
    const count = api.names(identity).length;
    const error = lastError();
    return [
      `${principalOf(identity)} may read ${count} ${count === 1 ? 'secret' : 'secrets'}`,
      ...(stores === null ? [] : [describeStores(stores)]),
      ...(error === null ? [] : [`the last reload was refused: ${error.message}`]),
    ].join('; ');
  }

  async function refresh(): Promise<void> {
    lookedAt = performance.now();
    try {
      manager.status(describe(await serving().api.readiness()));
    } catch (error) {
      log.error({ event: 'defect', error: kindOf(error) });
    }
  }

  function refreshAfterRequests(): void {
    if ((quietSince() ?? Infinity) > lookedAt) void refresh();
  }

  const timer = manager.listens ? setInterval(refreshAfterRequests, refreshMs).unref() : undefined;

  return {
    ready() {
      if (!manager.listens) return;
      manager.ready(describe(null));
      void refresh();
    },
    stop: () => clearInterval(timer),
  };
}

function describeStores(stores: ReadonlyMap<string, StoreStatus>): string {
  const unready = [...stores]
    .filter(([, { status }]) => status === 'unready')
    .map(([name, { backend, code, reason }]) => `${name} (${backend}): ${String(code)}, ${String(reason)}`);
  return unready.length === 0 ? 'all stores are ready' : `not ready: ${unready.join('; ')}`;
}
