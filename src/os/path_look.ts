import { type BigIntStats, statSync } from 'node:fs';

/** What a path leads to; `nothing` where nothing is, `unknown` where this user may not look or the path cannot be followed. */
export type PathLook = BigIntStats | 'nothing' | 'unknown';

/** With `lstat` a link stands for itself. */
export function lookAtPath(path: string, stat: typeof statSync = statSync): PathLook {
  try {
    return stat(path, { bigint: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'nothing' : 'unknown';
  }
}

/** By all digits: overlayfs numbers files beyond what a double can tell apart. */
export function isSameFile(look: PathLook, other: PathLook): boolean {
  return typeof look !== 'string' && typeof other !== 'string' && look.dev === other.dev && look.ino === other.ino;
}
