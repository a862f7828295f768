import { createEnding, endingWith, type EndSignal } from '../ending.js';

/**
 * What `act` gives, whose signal is aborted after `ms`, and with `signal`. Not by AbortSignal.any: on Node 20 a garbage
 * collection takes one that nobody has but its listeners, and then it is never aborted.
 */
export async function withTimeLimit<T>(
  ms: number,
  signal: EndSignal,
  act: (signal: EndSignal) => Promise<T>,
): Promise<T> {
  const ending = createEnding();
  const end = (): void => ending.end();
  const timer = setTimeout(end, ms);
  try {
    return await endingWith(signal, end, () => act(ending));
  } finally {
    clearTimeout(timer);
  }
}
