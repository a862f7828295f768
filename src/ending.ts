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

export interface Ending {
  readonly signal: EndSignal;
  end(): void;
}

const OVER = new Error('over');

export function createEnding(): Ending {
  const signal = new Signal();
  return { signal, end: () => signal.end() };
}

/** One that was over before it began. */
export function endedSignal(): EndSignal {
  const ending = createEnding();
  ending.end();
  return ending.signal;
}

class Signal implements EndSignal {
  aborted = false;
  reason: unknown;
  #acts: (() => void)[] = [];

  addEventListener(_type: 'abort', act: () => void): void {
    if (!this.aborted) this.#acts.push(act);
  }

  removeEventListener(_type: 'abort', act: () => void): void {
    const at = this.#acts.indexOf(act);
    if (at !== -1) this.#acts.splice(at, 1);
  }

  end(): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = OVER;
    const acts = this.#acts;
    this.#acts = [];
    for (const act of acts) act();
  }
}
