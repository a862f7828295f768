import type { Ending } from './temporary.js';

/**
 * Watches every Buffer that bytes are copied from or to, from now on: `retaining(text)` counts those that hold the
 * text still. What a program printed reaches the code under test in Buffers that nobody else can get at.
 */
export function watchBuffers(t: Ending): { readonly seen: () => number; readonly retaining: (text: string) => number } {
  const buffers = new Set<Buffer>();
  type Copy = (this: Buffer, target: Buffer, ...rest: number[]) => number;
  const prototype = Buffer.prototype as unknown as { copy: Copy };
  const { copy } = prototype;
  prototype.copy = function (target, ...rest) {
    buffers.add(this).add(target);
    return copy.call(this, target, ...rest);
  };
  t.teardown(() => {
    prototype.copy = copy;
  });
  return {
    seen: () => buffers.size,
    retaining: (text) => [...buffers].filter((buffer) => buffer.includes(text)).length,
  };
}
