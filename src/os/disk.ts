import { close, fstat, open, read, type Stats } from 'node:fs';
import { promisify } from 'node:util';
import { createGate } from '../gate.js';

/**
 * Node has four threads for files, unless its environment says otherwise, and a disk that hangs keeps each one that waits
 * for it. The others are for the log and the audit records.
 */
const AT_ONCE = 2;

const threads = createGate(() => ({ backendConcurrency: AT_ONCE, queue: Infinity }));

const never = new AbortController().signal;

/** Does something with a file that the configuration names, when it is its turn. */
export async function onDisk<T>(operation: () => Promise<T>): Promise<T> {
  if (!threads.tryEnter()) await threads.enter(never);
  try {
    return await operation();
  } finally {
    threads.leave();
  }
}

const opened = promisify(open);
const looked = promisify(fstat);
const given = promisify(read);
const closed = promisify(close);

/** A descriptor, to be closed. Rejects, as the others do, with what the system says. */
export function openFile(path: string, flags: number): Promise<number> {
  return onDisk(() => opened(path, flags));
}

export function statFile(fd: number): Promise<Stats> {
  return onDisk(() => looked(fd));
}

/** How many bytes have been read on; 0 at the end. */
export async function readFile(fd: number, buffer: Buffer, at: number, length: number): Promise<number> {
  const { bytesRead } = await onDisk(() => given(fd, buffer, at, length, null));
  return bytesRead;
}

/** Nobody has to wait for it. */
export function closeFile(fd: number): void {
  void onDisk(() => closed(fd)).catch(() => undefined); // it is closed whatever the system says
}
