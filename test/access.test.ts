import t from 'tap';
import { type AccessRequest, createAccesses } from '../src/access.js';
import { SecretsApi } from '../src/api.js';
import type { AuditRecord } from '../src/log/audit.js';
import { createLogger } from '../src/log/logger.js';
import { createMetrics } from '../src/metrics.js';
import { ENVIRONMENT, IDENTITY, SECRETS_DATA } from './support/app.js';

const api = SecretsApi.fromConfigData(SECRETS_DATA, { environment: ENVIRONMENT });

function accessesOver(record: (record: AuditRecord) => boolean | Promise<boolean>) {
  const log: Record<string, unknown>[] = [];
  const accesses = createAccesses({
    audit: { record },
    metrics: createMetrics({
      gate: { running: 0, waiting: 0 },
      config: () => ({ digest: '', loadedAt: new Date(0) }),
    }),
    log: createLogger('info', { write: (line) => void log.push(JSON.parse(line) as Record<string, unknown>) }),
  });
  return { accesses, log };
}

function request(name: string, changes: Partial<AccessRequest> = {}): AccessRequest {
  return {
    id: 'r',
    name,
    identity: IDENTITY,
    api,
    peer: null,
    startedAt: performance.now(),
    over: new AbortController().signal,
    refuse: () => Promise.resolve(null),
    ...changes,
  };
}

t.test('there is an answer once the record is written, and not before', async (t) => {
  let written: (() => void) | undefined;
  const { accesses } = accessesOver(() => new Promise((resolve) => (written = (): void => resolve(true))));
  let settled = false;
  const access = Promise.resolve(accesses.open(request('api_key'))).finally(() => (settled = true));
  while (written === undefined) await new Promise((resolve) => setImmediate(resolve));
  t.notOk(settled);
  written();
  const opened = await access;
  if (!opened.ok) throw new Error(opened.code);
  t.equal(opened.lease.value.toString(), 'the value');
  opened.lease.release();
});

t.test('without a record there is none, whatever it would have been, and the value is given back', async (t) => {
  const { accesses } = accessesOver(() => Promise.resolve(false));
  t.same(await accesses.open(request('api_key')), { ok: false, code: 'audit_unavailable' });
  t.same(await accesses.open(request('guarded')), { ok: false, code: 'audit_unavailable' });
});

t.test('a record that ends in a defect gives the value back', async (t) => {
  const { accesses } = accessesOver(() => Promise.reject(new RangeError('canary')));
  await t.rejects(Promise.resolve(accesses.open(request('api_key'))), RangeError);
  const { accesses: others } = accessesOver(() => {
    throw new RangeError('canary');
  });
  t.throws(() => others.open(request('api_key', { refuse: () => null })), RangeError);
});

t.test('what is known at once is there at once', (t) => {
  for (const recorded of [true, false]) {
    const { accesses } = accessesOver(() => recorded);
    const access = accesses.open(request('guarded', { refuse: () => null }));
    t.same(access, { ok: false, code: recorded ? 'access_denied' : 'audit_unavailable' });
  }
  t.end();
});

t.test('the rules of the way go first, and none of them reaches a backend', async (t) => {
  const records: AuditRecord[] = [];
  const { accesses } = accessesOver((record) => Promise.resolve(records.push(record) > 0));
  const never = (): never => {
    throw new Error('asked');
  };
  const refusing = request('api_key', {
    api: Object.assign(Object.create(api) as SecretsApi, { decide: never, retrieve: never }),
    refuse: () => Promise.resolve({ decision: 'denied', outcome: 'peer_denied' }),
  });
  t.same(await accesses.open(refusing), { ok: false, code: 'peer_denied' });
  const allowed = request('api_key', { refuseAllowed: () => 'not_acceptable' });
  t.same(await accesses.open(allowed), { ok: false, code: 'not_acceptable' });
  t.same(await accesses.open(request('api_key', { maxBytes: 3 })), { ok: false, code: 'backend_failed' });
  t.match(records, [
    { decision: 'denied', outcome: 'peer_denied', store: null, backend: null, policy: null },
    { decision: 'allowed', outcome: 'not_acceptable', store: 'red' },
    { decision: 'allowed', outcome: 'backend_failed', store: 'red' },
  ]);
});

t.test('a defect is told by its kind, and a caller that has left is no defect', async (t) => {
  const records: AuditRecord[] = [];
  const { accesses, log } = accessesOver((record) => Promise.resolve(records.push(record) > 0));
  const refuse = (): never => {
    throw new RangeError('canary');
  };
  t.same(await accesses.open(request('api_key', { refuse })), { ok: false, code: 'internal_error' });
  t.match(log, [{ event: 'defect', error: 'RangeError' }]);
  t.same(await accesses.open(request('api_key', { over: AbortSignal.abort() })), { ok: false, code: 'internal_error' });
  t.equal(log.length, 1);
  t.match(records, [{ outcome: 'internal_error' }, { outcome: 'cancelled' }]);
});
