import { performance } from 'node:perf_hooks';

/** Milliseconds for which a call is joined: one that hangs for ever must not take all with it who ask later. */
const JOIN_MS = 2_000;

/**
 * Lets all who ask soon after a call has begun share it. Who leaves gets `left`; the last one to leave ends the call, and
 * gets what that settles with. It must settle then, and never rejects.
 */
export function singleFlight<T>(
  start: (signal: AbortSignal) => Promise<T>,
  left: T,
): (signal: AbortSignal) => Promise<T> {
  interface Flight {
    readonly controller: AbortController;
    readonly result: Promise<T>;
    readonly joinedUntil: number;
    holders: number;
  }
  let current: Flight | undefined;

  function begin(): Flight {
    const controller = new AbortController();
    const flight: Flight = {
      controller,
      holders: 0,
      joinedUntil: performance.now() + JOIN_MS,
      result: start(controller.signal).finally(() => {
        if (current === flight) current = undefined;
      }),
    };
    return flight;
  }

  return (signal) => {
    if (signal.aborted) return Promise.resolve(left);
    if (current === undefined || performance.now() >= current.joinedUntil) current = begin();
    const flight = current;
    flight.holders += 1;
    return new Promise((resolve) => {
      const leave = (): void => {
        flight.holders -= 1;
        if (flight.holders > 0) {
          resolve(left);
          return;
        }
        // Nobody may join a call that is being ended.
        if (current === flight) current = undefined;
        flight.controller.abort();
      };
      signal.addEventListener('abort', leave, { once: true });
      void flight.result.then((result) => {
        signal.removeEventListener('abort', leave);
        resolve(result);
      });
    });
  };
}
