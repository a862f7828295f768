import { endingWith, type EndSignal } from '../ending.js';

/** What `act` gives, whose signal is one of Node's, as libraries take no other, and is aborted with `signal`. */
export function withAbortSignal<T>(signal: EndSignal, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  return endingWith(
    signal,
    () => controller.abort(),
    () => act(controller.signal),
  );
}
