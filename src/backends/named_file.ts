import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** More than any token or bundle of certificates has. */
const MAX_BYTES = 4_194_304;

/**
 * The bytes of a small file that the configuration names; undefined where they cannot be had. Its right to be read is
 * the daemon's user's, and it may be a symlink.
 */
export async function readNamedFile(path: string): Promise<Buffer | undefined> {
  try {
    // Without waiting for somebody to write, where it is a FIFO.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      return stat.isFile() && stat.size <= MAX_BYTES ? await file.readFile() : undefined;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}
