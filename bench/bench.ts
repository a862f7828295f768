import type { Ending } from '../test/support/temporary.js';
import type { Plot } from './plot.js';
import type { Progress } from './progress.js';

export interface Table {
  readonly caption?: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What we want, what it was, and whether that is enough; null where it was not measured. */
export interface Target {
  readonly target: string;
  readonly figure: string;
  readonly met: boolean | null;
}

export interface NamedPlot {
  /** Of the file, without its ending. */
  readonly name: string;
  readonly plot: Plot;
}

export interface Results {
  readonly tables: readonly Table[];
  readonly plots?: readonly NamedPlot[];
  readonly targets: readonly Target[];
  /** Paragraphs: how it was measured. */
  readonly notes: readonly string[];
}

/** How long to measure. */
export interface Pace {
  readonly rounds: number;
  /** Of a round of requests. */
  readonly roundMs: number;
  /** Of a round of commands, which are far slower. */
  readonly commandMs: number;
  readonly warmUpMs: number;
  /** In which nothing is asked: longer than V8 waits by itself before it gives back memory. */
  readonly pauseMs: number;
  readonly pauses: number;
  readonly starts: number;
  /** Before the memory is looked at once more. */
  readonly requests: number;
  /** The largest number of refs. */
  readonly refs: number;
}

export const FULL_PACE: Pace = {
  rounds: 15,
  roundMs: 240,
  commandMs: 500,
  warmUpMs: 1_500,
  pauseMs: 15_000,
  pauses: 5,
  starts: 15,
  requests: 100_000,
  refs: 100_000,
};

/** Shows that all of it works; its figures are worth little. */
export const QUICK_PACE: Pace = {
  rounds: 2,
  roundMs: 50,
  commandMs: 100,
  warmUpMs: 50,
  pauseMs: 50,
  pauses: 2,
  starts: 2,
  requests: 2_000,
  refs: 1_000,
};

export interface Surroundings {
  readonly t: Ending;
  readonly pace: Pace;
  readonly progress: Progress;
}

export interface Bench {
  readonly name: string;
  readonly title: string;
  /** What it needs that is not there, or false. */
  readonly missing: () => string | false;
  readonly run: (surroundings: Surroundings) => Promise<Results>;
}
