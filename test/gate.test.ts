import fc from 'fast-check';
import t from 'tap';
import { createGate } from '../src/gate.js';

const never = new AbortController().signal;

t.test('no more than the limit run at once; the others wait and enter in the order in which they came', async (t) => {
  const gate = createGate(() => ({ backendConcurrency: 2, queue: 5 }));
  const entered: number[] = [];
  for (let caller = 0; caller < 5; caller += 1) void gate.enter(never).then(() => entered.push(caller));
  await Promise.resolve();
  t.same([gate.running, gate.waiting], [2, 3]);
  for (let turn = 0; turn < 5; turn += 1) {
    gate.leave();
    await Promise.resolve();
  }
  t.same(entered, [0, 1, 2, 3, 4]);
  t.same([gate.running, gate.waiting], [0, 0]);
});

t.test('a place that is free is taken at once, and none that is not', async (t) => {
  const gate = createGate(() => ({ backendConcurrency: 1, queue: 1 }));
  t.same([gate.tryEnter(), gate.tryEnter(), gate.running], [true, false, 1]);
  const waiting = gate.enter(never);
  gate.leave();
  t.equal(await waiting, 'entered');
  t.equal(gate.tryEnter(), false);
});

t.test('a full queue is told at once', async (t) => {
  const gate = createGate(() => ({ backendConcurrency: 1, queue: 1 }));
  t.equal(await gate.enter(never), 'entered');
  void gate.enter(never);
  t.equal(await gate.enter(never), 'full');
});

t.test('with a queue of 0 nobody waits', async (t) => {
  const gate = createGate(() => ({ backendConcurrency: 1, queue: 0 }));
  t.equal(await gate.enter(never), 'entered');
  t.equal(await gate.enter(never), 'full');
});

t.test('a caller that leaves frees its place in the queue', async (t) => {
  const gate = createGate(() => ({ backendConcurrency: 1, queue: 1 }));
  await gate.enter(never);
  const leaver = new AbortController();
  const waiting = gate.enter(leaver.signal);
  leaver.abort();
  t.equal(await waiting, 'aborted');
  t.equal(gate.waiting, 0);
  t.equal(await gate.enter(AbortSignal.abort()), 'aborted', 'and one that has left before does not enter');
});

t.test('a limit that was lowered holds as soon as enough have left', (t) => {
  const limits = { backendConcurrency: 3, queue: 5 };
  const gate = createGate(() => limits);
  for (let caller = 0; caller < 4; caller += 1) void gate.enter(never);
  limits.backendConcurrency = 1;
  gate.leave();
  t.same([gate.running, gate.waiting], [2, 1]);
  gate.leave();
  gate.leave();
  t.same([gate.running, gate.waiting], [1, 0]);
  t.end();
});

t.test('a limit that was raised lets those in who wait, in their order, before anybody who comes later', async (t) => {
  const limits = { backendConcurrency: 1, queue: 5 };
  const gate = createGate(() => limits);
  const entered: number[] = [];
  for (let caller = 0; caller < 4; caller += 1) void gate.enter(never).then(() => entered.push(caller));
  limits.backendConcurrency = 3;
  gate.admit();
  t.equal(gate.tryEnter(), false);
  await Promise.resolve();
  t.same(entered, [0, 1, 2]);
  t.same([gate.running, gate.waiting], [3, 1]);
});

t.test('for all orders of coming, leaving and giving up, the bounds hold and nobody is forgotten', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 3 }),
      fc.array(fc.constantFrom('come', 'leave', 'give up'), { maxLength: 60 }),
      async (backendConcurrency, queue, steps) => {
        const gate = createGate(() => ({ backendConcurrency, queue }));
        const waiting: AbortController[] = [];
        let inside = 0;
        for (const step of steps) {
          if (step === 'come') {
            const caller = new AbortController();
            const before = gate.waiting;
            void gate.enter(caller.signal).then((turn) => {
              if (turn === 'entered') inside += 1;
            });
            if (gate.waiting > before) waiting.push(caller);
          } else if (step === 'leave' && inside > 0) {
            inside -= 1;
            if (gate.waiting > 0) waiting.shift();
            gate.leave();
          } else if (step === 'give up') {
            waiting.shift()?.abort();
          }
          await Promise.resolve();
          t.ok(gate.running <= backendConcurrency && gate.waiting <= queue);
          t.equal(gate.running, inside);
          t.equal(gate.waiting, waiting.length);
          if (gate.waiting > 0) t.equal(gate.running, backendConcurrency, 'nobody waits beside a free place');
        }
      },
    ),
  );
});
