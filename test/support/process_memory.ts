import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const CHUNK_BYTES = 4 * 1024 * 1024;

export interface MemoryScan {
  /** How often any of the needles stands in the memory, overlaps included. */
  readonly found: number;
  /** How many bytes have been looked at. */
  readonly bytes: number;
}

/**
 * Looks through all that a process has mapped and that can be read: heaps, stacks, buffers, libraries. For root and, where
 * the process can be traced, its own user.
 */
export function scanMemory(pid: number, needles: readonly Buffer[]): MemoryScan {
  const overlap = Math.max(...needles.map(({ length }) => length)) - 1;
  const chunk = Buffer.alloc(overlap + CHUNK_BYTES);
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  let found = 0;
  let bytes = 0;
  try {
    for (const [start, end] of readableMaps(pid)) {
      let carried = 0;
      for (let at = start; at < end;) {
        const wanted = Number(end - at < BigInt(CHUNK_BYTES) ? end - at : BigInt(CHUNK_BYTES));
        const count = readOrNothing(memory, chunk, carried, wanted, at);
        if (count === 0) break; // device memory, or gone by now
        const seen = chunk.subarray(0, carried + count);
        for (const needle of needles) found += occurrences(seen, needle, carried);
        bytes += count;
        at += BigInt(count);
        const kept = Math.min(overlap, seen.length);
        seen.copy(chunk, 0, seen.length - kept);
        carried = kept;
      }
    }
  } finally {
    closeSync(memory);
    chunk.fill(0);
  }
  return { found, bytes };
}

function* readableMaps(pid: number): Generator<[start: bigint, end: bigint]> {
  for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
    const [, start, end, name] = /^([0-9a-f]+)-([0-9a-f]+) r\S* \S+ \S+ \S+ *(.*)$/.exec(line) ?? [];
    if (start === undefined || end === undefined || name === '[vvar]' || name === '[vsyscall]') continue;
    yield [BigInt(`0x${start}`), BigInt(`0x${end}`)];
  }
}

function readOrNothing(fd: number, chunk: Buffer, offset: number, length: number, position: bigint): number {
  try {
    return readSync(fd, chunk, offset, length, position);
  } catch {
    return 0;
  }
}

/** Those that end within the first `carried` bytes have been counted before. */
function occurrences(bytes: Buffer, needle: Buffer, carried: number): number {
  let count = 0;
  for (let at = bytes.indexOf(needle); at !== -1; at = bytes.indexOf(needle, at + 1)) {
    if (at + needle.length > carried) count += 1;
  }
  return count;
}
