import { getEventListeners } from 'node:events';
import t from 'tap';
import type { EndSignal } from '../../src/ending.js';
import { withTimeLimit } from '../../src/backends/time_limit.js';
import { collectGarbage } from '../support/garbage.js';

const forever = new AbortController().signal;

function aborted(signal: EndSignal): Promise<string> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('aborted');
    else signal.addEventListener('abort', () => resolve('aborted'));
  });
}

t.test('what is done in time is the answer, and nothing is left of the limit', async (t) => {
  const { signal } = new AbortController();
  t.equal(await withTimeLimit(60_000, signal, () => Promise.resolve('done')), 'done');
  await t.rejects(
    withTimeLimit(60_000, signal, () => Promise.reject(new Error('failed'))),
    /failed/,
  );
  t.same(getEventListeners(signal, 'abort'), []);
  t.notOk(process.getActiveResourcesInfo().includes('Timeout'));
});

t.test('the signal is aborted when the time is over, also after garbage has been collected', async (t) => {
  const limited = withTimeLimit(50, forever, aborted);
  collectGarbage();
  t.equal(await limited, 'aborted');
});

t.test('the signal is aborted with the outer one, also when that was before', async (t) => {
  const controller = new AbortController();
  const limited = withTimeLimit(60_000, controller.signal, aborted);
  controller.abort();
  t.equal(await limited, 'aborted');
  t.equal(await withTimeLimit(60_000, controller.signal, aborted), 'aborted');
});
