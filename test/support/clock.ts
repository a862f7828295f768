import type { Test } from 'tap';

/** Lets the clock of `performance.now()` go forward, until the test ends. */
export function forward(t: Test, seconds: number): void {
  const now = performance.now.bind(performance);
  const before = Object.getOwnPropertyDescriptor(performance, 'now');
  const set = (descriptor: PropertyDescriptor): unknown => Object.defineProperty(performance, 'now', descriptor);
  set({ configurable: true, value: () => now() + seconds * 1000 });
  t.teardown(() => (before === undefined ? Reflect.deleteProperty(performance, 'now') : set(before)));
}
