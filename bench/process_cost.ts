import { readFileSync } from 'node:fs';

/** The unit of /proc/PID/stat: USER_HZ, which is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** Milliseconds of processor time of a process and of the children that it has waited for. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // Behind the name, which may hold anything, `state` is the third field; utime, stime, cutime and cstime are 14 to 17.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_MS;
}

/** Resident bytes, with what is shared with others; and the share of it that is this process's. */
export function memoryOf(pid: number): { readonly rss: number; readonly pss: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const bytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1]) * 1_024;
  return { rss: bytes('Rss'), pss: bytes('Pss') };
}
