/**
 * What `act` gives, whose signal is aborted after `ms`, and with `signal`. By hand, as on Node 20 a garbage collection
 * takes a signal of AbortSignal.any that nobody has but its listeners, and then it is never aborted.
 */
export async function withTimeLimit<T>(
  ms: number,
  signal: AbortSignal,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const timer = setTimeout(abort, ms);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await act(controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
