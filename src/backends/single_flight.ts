import { performance } from 'node:perf_hooks';
import { createEnding, type Ending, type EndSignal } from '../ending.js';

/** Milliseconds for which a call is joined: one that hangs for ever must not take all with it who ask later. */
const JOIN_MS = 2_000;

/**
 * Lets all who ask soon after a call has begun share it. Who leaves gets `gone`; the last one to leave ends the call, and
 * gets what that settles with. It must settle then, and never rejects.
 */
export function singleFlight<T>(start: (signal: EndSignal) => Promise<T>, gone: T): (signal: EndSignal) => Promise<T> {
  interface Flight {
    /** Over when the last of them has left. */
    readonly left: Ending;
    readonly result: Promise<T>;
    readonly joinedUntil: number;
    holders: number;
  }
  let current: Flight | undefined;

  function begin(): Flight {
    const left = createEnding();
    const flight: Flight = {
      left,
      holders: 0,
      joinedUntil: performance.now() + JOIN_MS,
      result: start(left).finally(() => {
        if (current === flight) current = undefined;
      }),
    };
    return flight;
  }

  return (signal) => {
    if (signal.aborted) return Promise.resolve(gone);
    if (current === undefined || performance.now() >= current.joinedUntil) current = begin();
    const flight = current;
    flight.holders += 1;
    return new Promise((resolve) => {
      const leave = (): void => {
        flight.holders -= 1;
        if (flight.holders > 0) {
          resolve(gone);
          return;
        }
        // Nobody may join a call that is being ended.
        if (current === flight) current = undefined;
        flight.left.end();
      };
      signal.addEventListener('abort', leave, { once: true });
      void flight.result.then((result) => {
        signal.removeEventListener('abort', leave);
        resolve(result);
      });
    });
  };
}
