import t from 'tap';
import type { EndSignal } from '../../src/ending.js';
import { singleFlight } from '../../src/backends/single_flight.js';
import { forward } from '../support/clock.js';
import { nextTurn } from '../support/scripted_backend.js';

interface Call {
  readonly signal: EndSignal;
  end(result: string): void;
}

/** Calls that the test ends. */
function scripted(): { calls: Call[]; ask: (signal: AbortSignal) => Promise<string> } {
  const calls: Call[] = [];
  const ask = singleFlight<string>((signal) => new Promise((resolve) => calls.push({ signal, end: resolve })), 'left');
  return { calls, ask };
}

const forever = new AbortController().signal;

t.test('all who ask while a call runs share it, and the next one starts another', async (t) => {
  const { calls, ask } = scripted();
  const answers = [ask(forever), ask(forever), ask(forever)];
  calls[0]!.end('one');
  t.same(await Promise.all(answers), ['one', 'one', 'one']);
  const next = ask(forever);
  calls[1]!.end('two');
  t.equal(await next, 'two');
  t.equal(calls.length, 2);
});

t.test('a call that goes on for long is not joined any more, and goes on for those who have it', async (t) => {
  const { calls, ask } = scripted();
  const first = ask(forever);
  forward(t, 1.5);
  const second = ask(forever);
  forward(t, 1);
  const third = ask(forever);
  t.equal(calls.length, 2);
  calls[0]!.end('one');
  t.same(await Promise.all([first, second]), ['one', 'one']);
  const fourth = ask(forever);
  calls[1]!.end('two');
  t.same(await Promise.all([third, fourth]), ['two', 'two']);
  t.equal(calls.length, 2);
});

t.test('who leaves is told so at once, and the others get what they wait for', async (t) => {
  const { calls, ask } = scripted();
  const leaving = new AbortController();
  const [first, second] = [ask(leaving.signal), ask(forever)];
  leaving.abort();
  t.equal(await first, 'left');
  t.equal(calls[0]!.signal.aborted, false);
  calls[0]!.end('one');
  t.equal(await second, 'one');
  t.equal(calls.length, 1);
});

t.test('the last one to leave ends the call and waits for its end, and nobody joins it', async (t) => {
  const { calls, ask } = scripted();
  const leaving = new AbortController();
  let settled = false;
  const answers = Promise.all([ask(leaving.signal), ask(leaving.signal)]).finally(() => (settled = true));
  leaving.abort();
  t.equal(calls[0]!.signal.aborted, true);
  await nextTurn();
  t.equal(settled, false);
  const later = ask(forever);
  calls[0]!.end('ended');
  t.same(await answers, ['left', 'ended']);
  calls[1]!.end('two');
  t.equal(await later, 'two');
});

t.test('who has left already starts nothing', async (t) => {
  const { calls, ask } = scripted();
  t.equal(await ask(AbortSignal.abort()), 'left');
  t.equal(calls.length, 0);
});
