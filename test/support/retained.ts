import type { Ending } from './temporary.js';

/**
 * Watches every Buffer that is made from now on: `retaining(text)` counts those that hold the text still. What a
 * program printed reaches the code under test in Buffers that nobody else can get at.
 */
export function watchBuffers(t: Ending): { readonly seen: () => number; readonly retaining: (text: string) => number } {
  const buffers = new Set<Buffer>();
  const from = Buffer.from.bind(Buffer) as (...args: unknown[]) => Buffer;
  const alloc = Buffer.alloc.bind(Buffer);
  const watched =
    <A extends unknown[]>(make: (...args: A) => Buffer) =>
    (...args: A): Buffer => {
      const buffer = make(...args);
      buffers.add(buffer);
      return buffer;
    };
  Object.assign(Buffer, { from: watched(from), alloc: watched(alloc) });
  t.teardown(() => Object.assign(Buffer, { from, alloc }));
  return {
    seen: () => buffers.size,
    retaining: (text) => [...buffers].filter((buffer) => buffer.includes(text)).length,
  };
}
