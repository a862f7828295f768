import type { EndSignal } from '../ending.js';

/** What `act` gives, whose signal is one of Node's, as libraries take no other, and is aborted with `signal`. */
export async function withAbortSignal<T>(signal: EndSignal, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await act(controller.signal);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
