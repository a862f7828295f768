/**
 * Lets all who ask while a call runs share it. Who leaves gets `left`; the last one to leave ends the call, and gets
 * what that settles with. It must settle then, and never rejects.
 */
export function singleFlight<T>(
  start: (signal: AbortSignal) => Promise<T>,
  left: T,
): (signal: AbortSignal) => Promise<T> {
  interface Flight {
    readonly controller: AbortController;
    readonly result: Promise<T>;
    holders: number;
  }
  let current: Flight | undefined;

  function begin(): Flight {
    const controller = new AbortController();
    const flight: Flight = {
      controller,
      holders: 0,
      result: start(controller.signal).finally(() => {
        if (current === flight) current = undefined;
      }),
    };
    return flight;
  }

  return (signal) => {
    if (signal.aborted) return Promise.resolve(left);
    const flight = (current ??= begin());
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
