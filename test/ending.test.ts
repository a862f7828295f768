import t from 'tap';
import { createEnding, type EndSignal, endedSignal } from '../src/ending.js';

t.test('an end is told once to all who listen, in order', (t) => {
  const ending = createEnding();
  const told: number[] = [];
  for (const listener of [1, 2]) ending.addEventListener('abort', () => told.push(listener), { once: true });
  t.same([ending.aborted, told], [false, []]);
  ending.end();
  ending.end();
  t.same([ending.aborted, told], [true, [1, 2]]);
  t.type(ending.reason, Error);
  t.end();
});

t.test('who has been taken off is not told, and neither is who comes too late', (t) => {
  const ending = createEnding();
  const told: string[] = [];
  const off = (): void => void told.push('off');
  ending.removeEventListener('abort', off);
  ending.addEventListener('abort', off);
  ending.addEventListener('abort', () => told.push('on'));
  ending.removeEventListener('abort', off);
  ending.end();
  ending.addEventListener('abort', () => told.push('late'));
  t.same(told, ['on']);
  t.end();
});

t.test('one that was over before it began says so, as an AbortSignal would', (t) => {
  const signals: EndSignal[] = [endedSignal(), AbortSignal.abort()];
  t.same(
    signals.map(({ aborted }) => aborted),
    [true, true],
  );
  t.end();
});
