/**
 * A Buffer for a value, filled with zeros. It lies outside the heap that is collected: a small one that `Buffer.alloc`
 * gives lies within, and whenever the collector moves it, it leaves a copy behind that nobody can wipe.
 */
export function allocateSecretBytes(length: number): Buffer {
  return Buffer.from(new ArrayBuffer(length));
}

const SLAB_BYTES = 65_536;
const LARGEST_IN_SLAB = 2_048;
let slab = new ArrayBuffer(0);
let taken = 0;

/**
 * The same for what is passed on within the daemon and filled with zeros at once: small ones stand side by side in a
 * larger piece of memory, which is used once, as to make one of its own for each costs more than to fill it.
 */
export function allocateBriefBytes(length: number): Buffer {
  if (length > LARGEST_IN_SLAB) return allocateSecretBytes(length);
  if (taken + length > slab.byteLength) {
    slab = new ArrayBuffer(SLAB_BYTES);
    taken = 0;
  }
  const bytes = Buffer.from(slab, taken, length);
  taken += length;
  return bytes;
}

/**
 * Copies a value, or a piece of one, byte by byte. What copies many bytes at once leaves them in vector registers, which
 * the kernel writes to the stack at the next signal, such as that of a child's end.
 */
export function copySecretBytes(source: Uint8Array, target: Uint8Array, start = 0): void {
  for (let at = 0; at < source.length; at += 1) target[start + at] = source[at] as number;
}

/** A copy that is passed on within the daemon and filled with zeros at once. */
export function briefCopyOf(bytes: Uint8Array): Buffer {
  const copy = allocateBriefBytes(bytes.length);
  copySecretBytes(bytes, copy);
  return copy;
}

/** Whether a value is well-formed UTF-8 (Unicode, table 3-7), looked at byte by byte for the same reason. */
export function isUtf8(bytes: Uint8Array): boolean {
  let awaited = 0;
  let lowest = 0x80;
  let highest = 0xbf;
  let at = 0;
  while (at < bytes.length) {
    const byte = bytes[at++] as number;
    if (awaited > 0) {
      if (byte < lowest || byte > highest) return false;
      awaited -= 1;
      lowest = 0x80;
      highest = 0xbf;
    } else if (byte >= 0x80) {
      if (byte < 0xc2 || byte > 0xf4) return false;
      awaited = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
      // Longer forms of shorter ones, surrogates, and what lies above U+10FFFF.
      if (byte === 0xe0) lowest = 0xa0;
      if (byte === 0xed) highest = 0x9f;
      if (byte === 0xf0) lowest = 0x90;
      if (byte === 0xf4) highest = 0x8f;
    }
  }
  return awaited === 0;
}
