import t from 'tap';
import type { BackendAnswer } from '../../src/backends/backend.js';
import { withPatience } from '../../src/backends/patience.js';
import { scriptedBackend } from '../support/scripted_backend.js';

const GRACE_MS = 20;
const LONG_MS = 60_000;
const TIMED_OUT = { ok: false, code: 'backend_timeout', reason: 'timeout' };

function request(signal: AbortSignal): { location: string; maxBytes: number; signal: AbortSignal } {
  return { location: 'mxm/key', maxBytes: 100, signal };
}

function value(): { ok: true; value: Buffer } {
  return { ok: true, value: Buffer.from('value') };
}

t.test('what a backend answers is the answer, after an abort too', async (t) => {
  const backend = scriptedBackend();
  const patient = withPatience(backend, LONG_MS);
  const controller = new AbortController();
  const [one, other] = [patient.fetch(request(controller.signal)), patient.fetch(request(controller.signal))];
  backend.calls[0]?.answer(value());
  t.same(await one, value());
  controller.abort();
  backend.calls[1]?.answer(value());
  t.same(await other, value());
  t.same(await patient.probe(controller.signal), { ok: true });
});

t.test('a defect of the backend stays one', async (t) => {
  const backend = scriptedBackend();
  const asking = Promise.resolve(withPatience(backend).fetch(request(new AbortController().signal)));
  backend.calls[0]?.fail(new TypeError('a defect'));
  await t.rejects(asking, TypeError);
});

t.test('a call that does not end after its abort is left behind', async (t) => {
  const backend = scriptedBackend();
  const patient = withPatience(backend, GRACE_MS);
  const controller = new AbortController();
  const asking = patient.fetch(request(controller.signal));
  controller.abort();
  t.same(await asking, TIMED_OUT);

  await t.test('until it ends the store is asked nothing more', async (t) => {
    const { signal } = new AbortController();
    t.same(await Promise.all([patient.fetch(request(signal)), patient.probe(signal)]), [TIMED_OUT, TIMED_OUT]);
    t.same([backend.calls.length, backend.probes], [1, 0]);
  });

  await t.test('what still comes is filled with zeros, and the store is asked again', async (t) => {
    const late: BackendAnswer = value();
    backend.calls[0]?.answer(late);
    await new Promise((resolve) => setImmediate(resolve));
    t.same(late.value, Buffer.alloc(5));
    const again = patient.fetch(request(new AbortController().signal));
    backend.calls[1]?.answer(value());
    t.same(await again, value());
  });
});

t.test('a failure and a probe may come late as well', async (t) => {
  const backend = scriptedBackend();
  const patient = withPatience(backend, GRACE_MS);
  let probed = (): void => undefined;
  backend.probeAnswer = () => new Promise((resolve) => (probed = () => resolve({ ok: true })));
  const controller = new AbortController();
  const both = Promise.all([patient.fetch(request(controller.signal)), patient.probe(controller.signal)]);
  controller.abort();
  t.same(await both, [TIMED_OUT, TIMED_OUT]);
  backend.calls[0]?.answer({ ok: false, code: 'backend_unavailable', reason: 'cannot_read' });
  probed();
  await new Promise((resolve) => setImmediate(resolve));
  backend.probeAnswer = () => Promise.resolve({ ok: true });
  t.same(await patient.probe(new AbortController().signal), { ok: true });
});
