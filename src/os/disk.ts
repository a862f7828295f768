import { close, closeSync, constants, fstat, open, read, type Stats } from 'node:fs';
import { createEnding } from '../ending.js';
import { createGate } from '../gate.js';
import { type FileLook, type Native, native, O_PATH } from './native.js';

/**
 * Node has four threads for files, unless its environment says otherwise, and a disk that hangs keeps each one that waits
 * for it. The others are for the log and the audit records.
 */
const AT_ONCE = 2;

const threads = createGate(() => ({ backendConcurrency: AT_ONCE, queue: Infinity }));

const never = createEnding();

type Done<T> = (error: Error | null | undefined, value: T) => void;

/** Does something with a file that the configuration names, when it is its turn. */
export function onDisk<T>(begin: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const done: Done<T> = (error, value) => {
      threads.leave();
      if (error) reject(error);
      else resolve(value);
    };
    const act = (): void => {
      try {
        begin(done);
      } catch (error) {
        done(error as Error, undefined as T); // Node throws what it does not even pass on
      }
    };
    if (threads.tryEnter()) act();
    else void threads.enter(never).then(act);
  });
}

/** What stands at a path, below an open directory if one is named. */
export interface Place {
  readonly path: string;
  readonly directory?: number;
  /** Refused unless it is one. */
  readonly isDirectory?: boolean;
}

/** What has been held without Node, and by whom. */
const given = new Map<number, Native>();

/**
 * A descriptor that stands for it and has opened nothing, until it is let go of. At once where the kernel has
 * looked the path up before and remembers it.
 */
export function holdFile(place: Place, kernel: Native | null = native): number | Promise<number> {
  const { path, directory, isDirectory = false } = place;
  const flags = isDirectory ? constants.O_DIRECTORY : 0;
  const held = kernel?.hold(path, flags, directory);
  if (kernel === null || held === undefined) {
    return openFile(directory === undefined ? path : `${descriptorPath(directory)}/${path}`, flags | O_PATH);
  }
  given.set(held, kernel);
  return held;
}

/** Waits for nobody. */
export function letGoOf(held: number): void {
  const kernel = given.get(held);
  given.delete(held);
  if (kernel === undefined) closeSync(held);
  else kernel.close(held);
}

/** Leads the kernel to the very file that is held, wherever it stands by now. */
export function descriptorPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** A descriptor, to be closed. Rejects, as the others do, with what the system says. */
export function openFile(path: string, flags: number): Promise<number> {
  return onDisk((done) => open(path, flags, done));
}

/** At once where the kernel knows it of what has just been opened: to ask another thread takes longer than to read a small file. */
export function statFile(fd: number, kernel: Native | null = native): FileLook | Promise<FileLook> {
  return kernel?.lookAt(fd) ?? askDisk(fd);
}

async function askDisk(fd: number): Promise<FileLook> {
  const stat = await onDisk<Stats>((done) => fstat(fd, done));
  return { isFile: stat.isFile(), isDirectory: stat.isDirectory(), size: stat.size };
}

/** To copy more takes as long as to ask another thread for it, and all else would wait. */
const READ_HERE_BYTES = 65_536;

/** How many bytes have been read on; 0 at the end. At once where they are few and in the system's memory. */
export function readFile(
  fd: number,
  buffer: Buffer,
  at: number,
  length: number,
  kernel: Native | null = native,
): number | Promise<number> {
  const already = length > READ_HERE_BYTES ? undefined : kernel?.readCached(fd, buffer, at, length);
  return already ?? onDisk<number>((done) => read(fd, buffer, at, length, null, done));
}

/** Nobody has to wait for it. */
export function closeFile(fd: number): void {
  const letGo = onDisk<null>((done) => {
    close(fd, (error) => done(error, null));
  });
  letGo.catch(() => undefined); // it is closed whatever the system says
}
