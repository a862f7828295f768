import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { descriptorPath } from '../os/disk.js';

const LF = 0x0a;

/**
 * Whether a file that is open for reading ends within a line: a daemon that was killed, or a full disk, may have left
 * half a record.
 */
export function endsWithinLine(fd: number): boolean {
  const { size } = fstatSync(fd);
  const last = Buffer.alloc(1, LF);
  if (size > 0) readSync(fd, last, 0, 1, size - 1);
  return last[0] !== LF;
}

/** The same of what is open for writing alone, as a shell opens it; false where it cannot be told. */
export function outputEndsWithinLine(fd: number): boolean {
  let own: number | undefined;
  try {
    if (!fstatSync(fd).isFile()) return false;
    own = openSync(descriptorPath(fd), constants.O_RDONLY);
    return endsWithinLine(own);
  } catch {
    return false;
  } finally {
    if (own !== undefined) closeSync(own);
  }
}
