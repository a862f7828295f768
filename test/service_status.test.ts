import t from 'tap';
import { SecretsApi } from '../src/api.js';
import { createLogger } from '../src/log/logger.js';
import type { ServiceManager } from '../src/os/service_manager.js';
import { createServiceStatus, type ServiceStatusParts } from '../src/service_status.js';
import { ENVIRONMENT, IDENTITY, SECRETS_DATA } from './support/app.js';
import type { Ending } from './support/temporary.js';
import { until } from './support/until.js';

interface Told {
  readonly told: string[];
  readonly log: Record<string, unknown>[];
  readonly api: SecretsApi;
  readonly status: ReturnType<typeof createServiceStatus>;
}

function report(t: Ending, parts: Partial<ServiceStatusParts> & { listens?: boolean } = {}): Told {
  const told: string[] = [];
  const log: Record<string, unknown>[] = [];
  const manager: ServiceManager = {
    listens: parts.listens ?? true,
    ready: (text) => void told.push(`ready: ${text}`),
    status: (text) => void told.push(text),
    reloading: () => undefined,
    stopping: () => undefined,
  };
  const api = SecretsApi.fromConfigData(SECRETS_DATA, { environment: ENVIRONMENT });
  const status = createServiceStatus({
    manager,
    serving: () => ({ identity: IDENTITY, api }),
    lastError: () => null,
    quietSince: () => 0,
    log: createLogger('info', { write: (line) => void log.push(JSON.parse(line) as Record<string, unknown>) }),
    ...parts,
  });
  t.teardown(() => status.stop());
  return { told, log, api, status };
}

t.test('it says what is served, and then how the stores are', async (t) => {
  const { told, status } = report(t);
  status.ready();
  await until(() => told.length === 2);
  t.same(told, ['ready: marketdata may read 3 secrets', 'marketdata may read 3 secrets; all stores are ready']);
});

t.test('it says why a store is not ready, and why a reload was refused', async (t) => {
  const { told, api, status } = report(t, { lastError: () => ({ message: 'secrets.yaml: no' }) });
  api.readiness = () =>
    Promise.resolve(
      new Map([
        ['red', { backend: 'env', status: 'unready', code: 'backend_locked', reason: 'key_locked' }],
        ['blue', { backend: 'env', status: 'ready' }],
      ] as const),
    );
  status.ready();
  await until(() => told.length === 2);
  t.equal(
    told[1],
    'marketdata may read 3 secrets; not ready: red (env): backend_locked, key_locked; the last reload was refused: secrets.yaml: no',
  );
});

t.test('after requests the stores are looked at again, and without any they are not', async (t) => {
  let quiet: number | null = null;
  let looks = 0;
  const { told, status } = report(t, {
    refreshMs: 5,
    quietSince() {
      looks += 1;
      return quiet;
    },
  });
  await until(() => told.length >= 2);
  quiet = 0;
  const [count, seen] = [told.length, looks];
  await until(() => looks > seen + 3);
  t.ok(told.length <= count + 1, 'what was under way is told');
  quiet = performance.now() + 60_000;
  await until(() => told.length >= count + 2);
  status.stop();
});

t.test('a defect while looking ends nothing', async (t) => {
  const { log, api, status } = report(t);
  api.readiness = () => Promise.reject(new RangeError('canary'));
  status.ready();
  await until(() => log.length > 0);
  t.match(log, [{ event: 'defect', error: 'RangeError' }]);
});

t.test('where nobody listens nothing is asked', (t) => {
  const { told, api, status } = report(t, { listens: false });
  api.readiness = () => {
    throw new Error('asked');
  };
  status.ready();
  t.same(told, []);
  t.end();
});
