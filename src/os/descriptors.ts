import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** How many files and connections this process may have open at once; undefined where that cannot be told, or is any number. */
export function descriptorLimit(limits = '/proc/self/limits'): number | undefined {
  try {
    const [, limit] = /^Max open files +(\d+) /m.exec(readFileSync(limits, 'latin1')) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

const ACCESS = 0o3;
const CLOSE_ON_EXEC = 0o2000000;

interface Descriptor {
  readonly fd: number;
  /** As /proc names it: a path, `pipe:[…]`, `socket:[…]` or `anon_inode:…`. */
  readonly what: string;
  readonly flags: number;
}

/**
 * What this process was started with above stderr and what Node, which closes most of that off at its start, would keep
 * from a program that it starts. To be asked for before anything is opened. Left out is whatever looks like Node's own:
 * events, and both ends of a pipe.
 */
export function closedOffDescriptors(folder = '/proc/self'): number[] {
  const open = openDescriptors(folder);
  return open
    .filter(({ fd, flags }) => fd > 2 && (flags & CLOSE_ON_EXEC) !== 0)
    .filter(({ what, flags }) => {
      const isOtherEnd = (other: Descriptor): boolean => other.what === what && ((other.flags ^ flags) & ACCESS) !== 0;
      return !what.startsWith('anon_inode:') && !(what.startsWith('pipe:') && open.some(isOtherEnd));
    })
    .map(({ fd }) => fd);
}

function openDescriptors(folder: string): Descriptor[] {
  try {
    return readdirSync(`${folder}/fd`).flatMap((fd) => {
      try {
        const info = readFileSync(`${folder}/fdinfo/${fd}`, 'latin1');
        const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? '0', 8);
        return [{ fd: Number(fd), what: readlinkSync(`${folder}/fd/${fd}`), flags }];
      } catch {
        return []; // the folder itself, which is closed by now
      }
    });
  } catch {
    return [];
  }
}
