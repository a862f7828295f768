import { readFileSync } from 'node:fs';
import { type Native, native } from './native.js';

/** `ADDRESS-ADDRESS PERMISSIONS OFFSET DEVICE INODE FILE`, and of the lines below it what the mapping holds of its own. */
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (r-[x-]p) \S+ \S+ \d+ +\/.*\n(?:[A-Z]\w*: .*\n)*?Anonymous: +(\d+) kB$/gm;

/**
 * Lets go of the pages of Node's own files that are in this process's memory: most have served its start alone. The
 * others come back from the file, mostly out of the memory of the system, when they are needed. What is not as in the
 * file, as it has been written to since, stays.
 */
export function releaseProgramPages(kernel: Native | null = native, mapsFile = '/proc/self/smaps'): void {
  if (kernel === null) return;
  let maps: string;
  try {
    maps = readFileSync(mapsFile, 'latin1');
  } catch {
    return;
  }
  for (const [, from, to, , written] of maps.matchAll(MAPPING)) {
    if (written === '0') kernel.releasePages(BigInt(`0x${from}`), BigInt(`0x${to}`));
  }
}
