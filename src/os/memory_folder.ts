import {
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { MEMORY_FILE_SYSTEMS } from './file_system.js';

const PREFIX = 'mxm-secretsd-';

/** Says which processes use a folder. No variable can have this name. */
const HOLDERS = '.holders';

/** Files in memory cannot be made. Its message holds no path of a secret. */
export class MemoryFolderError extends Error {
  override readonly name = 'MemoryFolderError';
}

/** A folder of mode 0700 on a file system in memory. */
export interface MemoryFolder {
  readonly path: string;
  /** Writes a new file of mode 0600 and gives its path. Throws a MemoryFolderError. */
  write(name: string, bytes: Buffer): string;
  /** Notes that a process uses the folder: as long as one of them lives, nobody else removes it. */
  heldBy(pid: number): void;
  remove(): void;
}

/** Where such a folder may be made, best first. */
export function memoryPlaces(environment: Readonly<Record<string, string | undefined>>): string[] {
  const runtime = environment['XDG_RUNTIME_DIR'] ?? '';
  return [...(isAbsolute(runtime) ? [runtime] : []), `/run/user/${ownUid()}`, '/dev/shm'];
}

/** Makes a folder in the first place that will do, and removes those there that a killed process has left. */
export function makeMemoryFolder(places: readonly string[]): MemoryFolder {
  for (const place of places) {
    if (!isFit(place)) continue;
    try {
      sweep(place);
      return memoryFolder(mkdtempSync(join(place, PREFIX)));
    } catch {
      continue; // it may not be listed or written, or is full
    }
  }
  throw new MemoryFolderError(
    'there is no file system in memory to write to: set XDG_RUNTIME_DIR to a folder of yours on a tmpfs',
  );
}

function memoryFolder(path: string): MemoryFolder {
  function heldBy(pid: number): void {
    try {
      appendFileSync(join(path, HOLDERS), `${holder(pid)}\n`, { mode: 0o600 });
    } catch {
      // The command may have ended, or have removed the folder, by now.
    }
  }

  heldBy(process.pid);
  return {
    path,
    heldBy,
    write(name, bytes) {
      const file = join(path, name);
      try {
        const fd = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
        try {
          fchmodSync(fd, 0o600); // whatever the umask
          for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
        } finally {
          closeSync(fd);
        }
      } catch (error) {
        throw new MemoryFolderError(
          `a file in memory cannot be written: ${String((error as NodeJS.ErrnoException).code)}`,
        );
      }
      return file;
    },
    remove() {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** In memory, and nobody but root and the running user can put something else in the place of what is made there. */
function isFit(place: string): boolean {
  try {
    const stat = statSync(place);
    const foreign = stat.uid !== 0 && stat.uid !== ownUid();
    const replaceable = (stat.mode & 0o022) !== 0 && (stat.mode & 0o1000) === 0;
    return stat.isDirectory() && MEMORY_FILE_SYSTEMS.has(statfsSync(place).type) && !foreign && !replaceable;
  } catch {
    return false;
  }
}

function sweep(place: string): void {
  for (const name of readdirSync(place)) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(place, name);
    try {
      const stat = lstatSync(folder);
      if (stat.isDirectory() && stat.uid === ownUid() && isAbandoned(folder)) rmSync(folder, { recursive: true });
    } catch {
      // Somebody else removes it, or it has no holders yet.
    }
  }
}

function isAbandoned(folder: string): boolean {
  const holders = readFileSync(join(folder, HOLDERS), 'utf8').split('\n').slice(0, -1);
  // Of a process that is numbered in another namespace, as in a container, nothing can be said.
  return holders.length > 0 && holders.every((line) => line.startsWith(`${pidNamespace()} `) && !isAlive(line));
}

function isAlive(line: string): boolean {
  const [, pid = ''] = line.split(' ');
  return existsSync(`/proc/${pid}`) && holder(Number(pid)) === line;
}

/** Names a process for good: its namespace, its number there, and when it was started. */
function holder(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return `${pidNamespace()} ${pid} ${String(startTime)}`;
}

function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}

function ownUid(): number {
  return (process as Required<NodeJS.Process>).geteuid();
}
