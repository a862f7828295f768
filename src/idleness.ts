import { performance } from 'node:perf_hooks';

export interface IdlenessParts {
  /** Milliseconds; undefined where there is no limit. */
  readonly limitMs: () => number | undefined;
  /** Since when nothing is asked for, by the clock of `performance`; null while something is. */
  readonly quietSince: () => number | null;
  readonly onIdle: () => void;
}

export interface Idleness {
  /** The limit may have changed. */
  look(): void;
  stop(): void;
}

/** Tells once that nothing was asked for during the limit. */
export function watchIdleness({ limitMs, quietSince, onIdle }: IdlenessParts): Idleness {
  let timer: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;

  /** Milliseconds that are left; 0 or less when the limit is reached. */
  function left(limit: number): number {
    const since = quietSince();
    return since === null ? limit : since + limit - performance.now();
  }

  function look(): void {
    stop();
    const limit = limitMs();
    if (limit === undefined) return;
    const wait = left(limit);
    if (wait > 0) timer = setTimeout(look, Math.ceil(wait)).unref();
    else immediate = setImmediate(settle, limit); // by then what has come meanwhile has been taken in
  }

  function settle(limit: number): void {
    if (left(limit) > 0) look();
    else onIdle();
  }

  function stop(): void {
    clearTimeout(timer);
    clearImmediate(immediate);
  }

  return { look, stop };
}
