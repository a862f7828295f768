import { readFileSync } from 'node:fs';

/** How many files and connections this process may have open at once; undefined where that cannot be told, or is any number. */
export function descriptorLimit(limits = '/proc/self/limits'): number | undefined {
  try {
    const [, limit] = /^Max open files +(\d+) /m.exec(readFileSync(limits, 'latin1')) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
