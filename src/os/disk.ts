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
  await threads.enter(never);
  try {
    return await operation();
  } finally {
    threads.leave();
  }
}
