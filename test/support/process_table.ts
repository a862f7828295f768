import { readdirSync, readFileSync } from 'node:fs';

export interface SeenProcess {
  readonly pid: number;
  /** As the kernel has it: 15 characters at most. */
  readonly name: string;
}

/** How many file descriptors a process has open. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1_024;
}

export function threadsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

/** A process that has ended and that nobody has waited for yet runs no more. */
export function isRunning(pid: number): boolean {
  return /^ [^ZX]/.test(statOf(pid));
}

/** Those that a process has started and that are not waited for yet, zombies included. */
export function childrenOf(pid: number): SeenProcess[] {
  return processes().filter((other) => / [A-Z] (\d+) /.exec(statOf(other.pid))?.[1] === String(pid));
}

/** Those whose environment has this variable with this value: whoever was started with it, wherever it has gone since. */
export function processesWith(variable: string, value: string): SeenProcess[] {
  return processes().filter(({ pid }) => read(`/proc/${pid}/environ`).split('\0').includes(`${variable}=${value}`));
}

function processes(): SeenProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), name: read(`/proc/${name}/comm`).trimEnd() }));
}

/** Behind the name, which may hold anything. */
function statOf(pid: number): string {
  const stat = read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 1);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // it has ended, or is not ours
  }
}
