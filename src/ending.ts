/**
 * Tells once that something is over. Every AbortSignal is one; but to abort one of Node's costs more than all else that
 * is done for a request.
 */
export interface EndSignal {
  readonly aborted: boolean;
  /** What those who waited are rejected with. */
  readonly reason: unknown;
  addEventListener(type: 'abort', act: () => void, options?: { readonly once: true }): void;
  removeEventListener(type: 'abort', act: () => void): void;
}

/** The same, for who ends it. */
export interface Ending extends EndSignal {
  end(): void;
}

const OVER = new Error('over');

export function createEnding(): Ending {
  return new Signal();
}

/** One that was over before it began. */
export function endedSignal(): EndSignal {
  const ending = createEnding();
  ending.end();
  return ending;
}

/** What the promise settles with, or a rejection with the reason of the signal where that is aborted before. */
export function orAborted<T>(promise: Promise<T>, signal: EndSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      const { reason } = signal as { readonly reason: Error };
      reject(reason);
    };
    const settle = (): void => signal.removeEventListener('abort', abort);
    signal.addEventListener('abort', abort, { once: true });
    promise.finally(settle).then(resolve, reject);
  });
}

/** What `act` gives. Meanwhile `end` is called when the signal is aborted, and at once where it was before. */
export async function endingWith<T>(signal: EndSignal, end: () => void, act: () => Promise<T>): Promise<T> {
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  try {
    return await act();
  } finally {
    signal.removeEventListener('abort', end);
  }
}

class Signal implements EndSignal {
  aborted = false;
  reason: unknown = undefined;
  /** The first by itself: mostly there are one or two, and a list that grows takes room for many. */
  private first: (() => void) | undefined = undefined;
  private others: readonly (() => void)[] | undefined = undefined;

  addEventListener(_type: 'abort', act: () => void): void {
    if (this.aborted) return;
    if (this.first === undefined) this.first = act;
    else this.others = this.others === undefined ? [act] : [...this.others, act];
  }

  removeEventListener(_type: 'abort', act: () => void): void {
    if (this.first === undefined) return;
    const [first, ...others] = [this.first, ...(this.others ?? [])].filter((other) => other !== act);
    this.first = first;
    this.others = others;
  }

  end(): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = OVER;
    const { first, others } = this;
    this.first = undefined;
    this.others = undefined;
    first?.();
    if (others !== undefined) for (const act of others) act();
  }
}
