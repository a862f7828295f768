import t, { type Test } from 'tap';
import { type Backend, type BackendAnswer, failure } from '../src/backends/backend.js';
import type { ResolvedSecretLocation } from '../src/domain/secrets.js';
import type { EndSignal } from '../src/ending.js';
import { createGate } from '../src/gate.js';
import { createRetriever, type RetrievalLimits, type Retriever, type SecretLease } from '../src/retrieve.js';
import { nextTurn, type ScriptedBackend, scriptedBackend } from './support/scripted_backend.js';

interface Setup {
  readonly backend: ScriptedBackend;
  /** Whether a lease is there at once is looked at by a test of its own. */
  readonly retriever: { retrieve(...what: Parameters<Retriever['retrieve']>): Promise<SecretLease> };
  readonly noted: BackendAnswer[];
  readonly gate: ReturnType<typeof createGate>;
}

function setup(limits: Partial<RetrievalLimits & { backendConcurrency: number; queue: number }> = {}): Setup {
  const all = { backendConcurrency: 1, queue: 1, backendTimeoutMs: 60_000, maxValueBytes: 16, ...limits };
  const backend = scriptedBackend();
  const gate = createGate(() => all);
  const noted: BackendAnswer[] = [];
  const made = createRetriever({
    backendOf: () => backend,
    gate,
    limits: all,
    onAnswer: (_store, answer) => noted.push(answer),
  });
  return { backend, retriever: { retrieve: async (...what) => made.retrieve(...what) }, noted, gate };
}

function location(name = 'a', field?: string): ResolvedSecretLocation {
  return {
    ref: { name, store: 'red', path: name, policy: 'p', ...(field !== undefined && { field }) },
    store: { name: 'red', backend: 'scripted', root: 'r', options: {} },
    location: `r/${name}`,
  };
}

const value = (text = 'value'): { ok: true; value: Buffer } => ({ ok: true, value: Buffer.from(text) });
const isWiped = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0);

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return 'ok';
  } catch (error) {
    const { code, reason } = error as { code?: unknown; reason?: unknown };
    return [code, reason];
  }
}

/** Keeps the process alive meanwhile, as the bound of a call does not. */
async function aborted(t: Test, signal: EndSignal): Promise<void> {
  const alive = setInterval(() => undefined, 1_000);
  t.teardown(() => clearInterval(alive));
  if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', resolve));
}

t.test('the backend is asked for exactly the location, with the field and the bound', async (t) => {
  const { backend, retriever } = setup();
  const lease = retriever.retrieve(location('a', 'user'));
  await nextTurn();
  t.match(backend.calls[0]?.request, { location: 'r/a', field: 'user', maxBytes: 16 });
  backend.calls[0]?.answer(value());
  t.equal((await lease).value.toString(), 'value');
});

t.test('without a field the backend gets none', async (t) => {
  const { backend, retriever } = setup();
  void retriever.retrieve(location()).catch(() => undefined);
  await nextTurn();
  t.notOk('field' in backend.calls[0]!.request);
});

t.test('the value is filled with zeros when the last holder has let go, and not before', async (t) => {
  const { backend, retriever } = setup();
  const where = location();
  const both = Promise.all([retriever.retrieve(where), retriever.retrieve(where)]);
  await nextTurn();
  t.equal(backend.calls.length, 1, 'identical requests in flight share one call');
  const answer = value();
  backend.calls[0]?.answer(answer);
  const [first, second] = await both;
  first.release();
  first.release();
  await nextTurn();
  t.equal(second.value.toString(), 'value', 'letting go twice counts once');
  second.release();
  await nextTurn();
  t.ok(isWiped(answer.value));
});

t.test('nothing is kept: the next request asks the backend anew', async (t) => {
  const { backend, retriever } = setup();
  const where = location();
  for (let turn = 0; turn < 2; turn += 1) {
    const lease = retriever.retrieve(where);
    await nextTurn();
    backend.calls[turn]?.answer(value());
    (await lease).release();
  }
  t.equal(backend.calls.length, 2);
});

t.test('a request that comes while an answered value is still held asks the backend anew', async (t) => {
  const { backend, retriever } = setup();
  const where = location();
  const first = retriever.retrieve(where);
  await nextTurn();
  backend.calls[0]?.answer(value());
  const held = await first;
  void retriever.retrieve(where).catch(() => undefined);
  await nextTurn();
  t.equal(backend.calls.length, 2);
  held.release();
});

t.test('the same name under another configuration shares no call', async (t) => {
  const { backend, retriever } = setup({ backendConcurrency: 2 });
  void retriever.retrieve(location()).catch(() => undefined);
  void retriever.retrieve(location()).catch(() => undefined);
  await nextTurn();
  t.equal(backend.calls.length, 2);
});

t.test('joining a call in flight takes no place in the queue', async (t) => {
  const { retriever, gate } = setup();
  const [running, waiting] = [location('running'), location('waiting')];
  for (const where of [running, waiting, running, waiting, waiting]) {
    void retriever.retrieve(where).catch(() => undefined);
  }
  await nextTurn();
  t.same([gate.running, gate.waiting], [1, 1]);
  t.same(await codeOf(retriever.retrieve(location('third'))), ['overloaded', null]);
});

t.test('failures of the backend come as errors with code and reason', async (t) => {
  const { backend, retriever, noted } = setup();
  const lease = retriever.retrieve(location());
  await nextTurn();
  backend.calls[0]?.answer(failure('backend_locked', 'key_locked'));
  t.same(await codeOf(lease), ['backend_locked', 'key_locked']);
  t.same(noted, [failure('backend_locked', 'key_locked')]);
});

t.test('an empty value and one that is too large are failures, and filled with zeros', async (t) => {
  for (const [text, reason] of [
    ['', 'empty_value'],
    ['x'.repeat(17), 'value_too_large'],
  ] as const) {
    const { backend, retriever } = setup();
    const lease = retriever.retrieve(location());
    await nextTurn();
    const answer = value(text);
    backend.calls[0]?.answer(answer);
    t.same(await codeOf(lease), ['backend_failed', reason]);
    t.ok(isWiped(answer.value));
  }
});

t.test('a value of exactly the limit is good', async (t) => {
  const { backend, retriever } = setup();
  const lease = retriever.retrieve(location());
  await nextTurn();
  backend.calls[0]?.answer(value('x'.repeat(16)));
  t.equal((await lease).value.length, 16);
});

t.test('a backend that rejects is a defect, and what it threw goes nowhere', async (t) => {
  const { backend, retriever, gate } = setup();
  const lease = retriever.retrieve(location());
  await nextTurn();
  backend.calls[0]?.fail(new Error('canary'));
  const error = await lease.then(
    () => t.fail('must reject'),
    (thrown: unknown) => thrown as Error,
  );
  t.notMatch(`${String(error)}${error instanceof Error ? error.stack : ''}`, 'canary');
  t.equal(gate.running, 0, 'its place is free again');
});

t.test('at the timeout the call is aborted, and answered once the backend has cleaned up', async (t) => {
  const { backend, retriever, noted } = setup({ backendTimeoutMs: 50 });
  const lease = retriever.retrieve(location());
  let answered = false;
  void lease.catch(() => (answered = true));
  await nextTurn();
  const [call] = backend.calls;
  await aborted(t, call!.request.signal);
  await nextTurn();
  t.notOk(answered, 'the backend has not settled yet');
  const late = value();
  call?.answer(late);
  t.same(await codeOf(lease), ['backend_timeout', 'timeout']);
  t.ok(isWiped(late.value), 'a value that comes too late is filled with zeros');
  t.same(noted, [failure('backend_timeout', 'timeout')]);
});

t.test('a caller that leaves does not end the call of the others', async (t) => {
  const { backend, retriever } = setup();
  const where = location();
  const leaver = new AbortController();
  const left = retriever.retrieve(where, leaver.signal);
  const stayed = retriever.retrieve(where, new AbortController().signal);
  await nextTurn();
  leaver.abort(new Error('left'));
  await t.rejects(left, /left/);
  t.notOk(backend.calls[0]?.request.signal.aborted);
  backend.calls[0]?.answer(value());
  t.equal((await stayed).value.toString(), 'value');
});

t.test('the last to leave ends the call; what still comes is filled with zeros and told to nobody', async (t) => {
  const { backend, retriever, noted, gate } = setup();
  const where = location();
  const leavers = [new AbortController(), new AbortController()];
  const calls = leavers.map(({ signal }) => retriever.retrieve(where, signal));
  await nextTurn();
  for (const leaver of leavers) leaver.abort(new Error('left'));
  for (const call of calls) await t.rejects(call, /left/);
  t.ok(backend.calls[0]?.request.signal.aborted);

  void retriever.retrieve(where).catch(() => undefined);
  await nextTurn();
  t.equal(backend.calls.length, 1, 'who comes now does not join, and waits for the place');
  const late = value();
  backend.calls[0]?.answer(late);
  await nextTurn();
  t.ok(isWiped(late.value));
  t.same(noted, []);
  t.same([backend.calls.length, gate.running], [2, 1]);
});

t.test('a caller that leaves while its call waits frees the place in the queue', async (t) => {
  const { backend, retriever, gate } = setup();
  void retriever.retrieve(location('running')).catch(() => undefined);
  const leaver = new AbortController();
  const waiting = retriever.retrieve(location('waiting'), leaver.signal);
  await nextTurn();
  leaver.abort(new Error('left'));
  await t.rejects(waiting, /left/);
  t.equal(gate.waiting, 0);
  t.equal(backend.calls.length, 1);
});

t.test('a caller that had left before is not served', async (t) => {
  const { backend, retriever } = setup();
  await t.rejects(retriever.retrieve(location(), AbortSignal.abort(new Error('left'))), /left/);
  t.equal(backend.calls.length, 0);
});

t.test('a caller that leaves in the very turn of the answer leaves no value behind', async (t) => {
  const { backend, retriever } = setup();
  const leaver = new AbortController();
  const lease = retriever.retrieve(location(), leaver.signal);
  await nextTurn();
  const answer = value();
  backend.calls[0]?.answer(answer);
  leaver.abort(new Error('left'));
  await t.rejects(lease, /left/);
  await nextTurn();
  t.ok(isWiped(answer.value));
});

t.test('a secret that is asked for without end takes one place, and the others get their turn', async (t) => {
  const { backend, retriever, gate } = setup({ backendConcurrency: 1, queue: 2 });
  const [busy, ...others] = [location('busy'), location('b'), location('c')];
  const answered: string[] = [];
  const askBusy = (): void => {
    void retriever.retrieve(busy).then((lease) => {
      lease.release();
      answered.push('busy');
      if (answered.length < 6) askBusy(); // at once again
    });
  };
  for (let caller = 0; caller < 50; caller += 1) askBusy();
  for (const other of others) {
    void retriever.retrieve(other).then((lease) => {
      lease.release();
      answered.push(other.ref.name);
    });
  }
  await nextTurn();
  t.same([gate.running, gate.waiting], [1, 2], 'fifty callers of one secret leave room for two others');
  for (let call = 0; call < 3; call += 1) {
    await nextTurn();
    backend.calls[call]?.answer(value());
    await nextTurn();
  }
  t.same(
    backend.calls.slice(0, 3).map(({ request }) => request.location),
    ['r/busy', 'r/b', 'r/c'],
  );
  t.ok(answered.includes('b') && answered.includes('c'));
});

t.test('what a backend has at once is given at once', async (t) => {
  const gate = createGate(() => ({ backendConcurrency: 1, queue: 0 }));
  const noted: BackendAnswer[] = [];
  let answer: () => BackendAnswer = value;
  const backend: Backend = { fetch: () => answer(), probe: () => Promise.resolve({ ok: true }) };
  const limits = { backendTimeoutMs: 60_000, maxValueBytes: 16 };
  const onAnswer = (_store: string, told: BackendAnswer): void => void noted.push(told);
  const retriever = createRetriever({ backendOf: () => backend, gate, limits, onAnswer });
  const where = location();

  await t.test('each time anew, and filled with zeros when it is let go', (t) => {
    for (let turn = 1; turn <= 2; turn += 1) {
      const lease = retriever.retrieve(where) as SecretLease;
      t.equal(lease.value.toString(), 'value');
      t.same([gate.running, noted.length], [0, turn]);
      lease.release();
      t.ok(isWiped(lease.value));
    }
    t.end();
  });

  await t.test('a failure too', (t) => {
    answer = () => failure('secret_not_found', 'entry_missing');
    t.throws(() => retriever.retrieve(where), { code: 'secret_not_found', reason: 'entry_missing' });
    answer = () => value('x'.repeat(17));
    t.throws(() => retriever.retrieve(where), { code: 'backend_failed', reason: 'value_too_large' });
    t.end();
  });

  await t.test('a defect, which frees its place', (t) => {
    answer = () => {
      throw new Error('canary');
    };
    t.throws(() => retriever.retrieve(where), { code: 'internal_error' });
    t.equal(gate.running, 0);
    t.end();
  });
});
