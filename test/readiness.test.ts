import t from 'tap';
import { failure } from '../src/backends/backend.js';
import type { SecretStore } from '../src/domain/secrets.js';
import { createReadiness } from '../src/readiness.js';
import { forward } from './support/clock.js';
import { nextTurn, scriptedBackend } from './support/scripted_backend.js';

const stores: SecretStore[] = [{ name: 'red', backend: 'scripted', root: 'r', options: {} }];
const READY = { backend: 'scripted', status: 'ready' };
const LOCKED = failure('backend_locked', 'key_locked');

t.test('a store whose probe succeeds is ready, one whose probe fails says why', async (t) => {
  const backend = scriptedBackend();
  t.same([...(await createReadiness(stores, () => backend, 60_000).stores())], [['red', READY]]);
  backend.probeAnswer = () => Promise.resolve(LOCKED);
  t.same(
    [...(await createReadiness(stores, () => backend, 60_000).stores())],
    [['red', { backend: 'scripted', status: 'unready', code: 'backend_locked', reason: 'key_locked' }]],
  );
});

t.test('a fetch that found the backend locked, unavailable or too slow counts until one succeeds', async (t) => {
  const backend = scriptedBackend();
  const readiness = createReadiness(stores, () => backend, 60_000);
  for (const answer of [
    LOCKED,
    failure('backend_unavailable', 'binary_missing'),
    failure('backend_timeout', 'timeout'),
  ]) {
    readiness.noteAnswer('red', answer);
    t.match((await readiness.stores()).get('red'), { status: 'unready', code: answer.code, reason: answer.reason });
    readiness.noteAnswer('red', failure('secret_not_found', 'entry_missing'));
    t.match((await readiness.stores()).get('red'), { status: 'unready' }, 'a missing entry proves nothing');
    readiness.noteAnswer('red', { ok: true, value: Buffer.from('v') });
    t.same((await readiness.stores()).get('red'), READY);
  }
});

t.test('who takes over goes on with what the fetches of a store that has not changed have told', async (t) => {
  const backend = scriptedBackend();
  const before = createReadiness(stores, () => backend, 60_000);
  before.noteAnswer('red', LOCKED);
  const after = createReadiness(structuredClone(stores), () => backend, 60_000, before);
  t.match((await after.stores()).get('red'), { status: 'unready', code: 'backend_locked' });
  const changed = stores.map((store) => ({ ...store, root: 'another' }));
  t.same((await createReadiness(changed, () => backend, 60_000, before).stores()).get('red'), READY);
  before.noteAnswer('red', { ok: true, value: Buffer.from('of a request that began before') });
  t.same((await after.stores()).get('red'), READY);
});

t.test('a fetch that succeeds makes up for a probe that failed just before', async (t) => {
  const backend = scriptedBackend();
  backend.probeAnswer = () => Promise.resolve(failure('backend_unavailable', 'root_missing'));
  const readiness = createReadiness(stores, () => backend, 60_000);
  t.match((await readiness.stores()).get('red'), { status: 'unready' });
  backend.probeAnswer = () => Promise.resolve({ ok: true });
  t.match((await readiness.stores()).get('red'), { status: 'unready' }, 'its answer lasts a moment');
  readiness.noteAnswer('red', { ok: true, value: Buffer.from('value') });
  t.match((await readiness.stores()).get('red'), { status: 'ready' });
});

t.test('a fetch that failed for its entry alone does not make the store unready', async (t) => {
  const backend = scriptedBackend();
  const readiness = createReadiness(stores, () => backend, 60_000);
  readiness.noteAnswer('red', failure('backend_failed', 'decrypt_failed'));
  readiness.noteAnswer('red', failure('secret_not_found', 'entry_missing'));
  t.same((await readiness.stores()).get('red'), READY);
});

t.test('all who ask at once share one probe, and its answer lasts a moment', async (t) => {
  const backend = scriptedBackend();
  let answer: (value: { ok: true }) => void = () => undefined;
  backend.probeAnswer = () => new Promise((resolve) => (answer = resolve));
  const readiness = createReadiness(stores, () => backend, 60_000);
  const asked = [readiness.stores(), readiness.stores(), readiness.stores()];
  await nextTurn();
  t.equal(backend.probes, 1);
  answer({ ok: true });
  await Promise.all(asked);
  await readiness.stores();
  t.equal(backend.probes, 1);

  forward(t, 2);
  backend.probeAnswer = () => Promise.resolve(LOCKED);
  t.match((await readiness.stores()).get('red'), { code: 'backend_locked' });
  t.equal(backend.probes, 2);
});

t.test('a probe that does not end in time is aborted and says so', async (t) => {
  const backend = scriptedBackend();
  const readiness = createReadiness(
    stores,
    () => ({
      ...backend,
      probe: (signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve(failure('backend_unavailable', 'cannot_start')));
        }),
    }),
    1,
  );
  // AbortSignal.timeout keeps no process alive by itself.
  const alive = setInterval(() => undefined, 1_000);
  t.teardown(() => clearInterval(alive));
  t.match((await readiness.stores()).get('red'), { code: 'backend_timeout', reason: 'timeout' });
});
