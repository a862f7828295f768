import t from 'tap';
import { withAbortSignal } from '../../src/backends/abort_signal.js';
import { createEnding, endedSignal } from '../../src/ending.js';

function aborted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('aborted');
    else signal.addEventListener('abort', () => resolve('aborted'));
  });
}

t.test('what is given is a signal of Node, aborted with the other one, also when that was before', async (t) => {
  const ending = createEnding();
  const asked = withAbortSignal(ending, (signal) => {
    t.type(signal, AbortSignal);
    t.notOk(signal.aborted);
    return aborted(signal);
  });
  ending.end();
  t.equal(await asked, 'aborted');
  t.equal(await withAbortSignal(endedSignal(), aborted), 'aborted');
});

t.test('once it is done an end changes nothing', async (t) => {
  const ending = createEnding();
  const signal = await withAbortSignal(ending, (own) => Promise.resolve(own));
  await t.rejects(
    withAbortSignal(ending, () => Promise.reject(new Error('failed'))),
    /failed/,
  );
  ending.end();
  t.notOk(signal.aborted);
});
