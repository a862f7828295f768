import type { EndSignal } from './ending.js';

/**
 * Lets a bounded number of calls run at once and a bounded number wait, first come first served. The limits may
 * change while calls run: those in excess finish.
 */
export interface Gate {
  /** `entered` once it is the caller's turn, who then owes one `leave`; `full` at once; `aborted` when the signal was. */
  enter(signal: EndSignal): Promise<'entered' | 'full' | 'aborted'>;
  /** True where it is the caller's turn at once, who then owes one `leave`. */
  tryEnter(): boolean;
  leave(): void;
  /** Lets in those who wait, in their order, where the limits have come to allow more: to be told of such a change. */
  admit(): void;
  readonly running: number;
  readonly waiting: number;
}

export interface GateLimits {
  readonly backendConcurrency: number;
  readonly queue: number;
}

export function createGate(limits: () => GateLimits): Gate {
  const queue = new Set<() => void>();
  let running = 0;

  function admit(): void {
    for (const next of queue) {
      if (running >= limits().backendConcurrency) return;
      queue.delete(next);
      running += 1;
      next();
    }
  }

  function tryEnter(): boolean {
    if (running >= limits().backendConcurrency) return false;
    running += 1;
    return true;
  }

  return {
    tryEnter,
    admit,
    enter(signal) {
      if (signal.aborted) return Promise.resolve('aborted');
      if (tryEnter()) return Promise.resolve('entered');
      if (queue.size >= limits().queue) return Promise.resolve('full');
      return new Promise((resolve) => {
        const next = (): void => {
          signal.removeEventListener('abort', leaveQueue);
          resolve('entered');
        };
        const leaveQueue = (): void => {
          queue.delete(next);
          resolve('aborted');
        };
        signal.addEventListener('abort', leaveQueue, { once: true });
        queue.add(next);
      });
    },
    leave() {
      running -= 1;
      admit();
    },
    get running() {
      return running;
    },
    get waiting() {
      return queue.size;
    },
  };
}
