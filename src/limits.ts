import { availableParallelism } from 'node:os';
import { escapePointer } from './config/pointer.js';
import { unknownKey, wholeNumberRule } from './config/schema.js';
import type { GateLimits } from './gate.js';
import type { RetrievalLimits } from './retrieve.js';
import { MAX_TIMER_MS } from './timer.js';

export type Limits = GateLimits & RetrievalLimits;

export const DEFAULT_LIMITS: Limits = Object.freeze({
  backendConcurrency: availableParallelism(),
  queue: 64,
  backendTimeoutMs: 5_000,
  maxValueBytes: 1_048_576,
});

/** The lowest and the highest of each, which are whole numbers. */
export const LIMIT_RANGES: Readonly<Record<keyof Limits, readonly [lowest: number, highest: number]>> = Object.freeze({
  backendConcurrency: [1, 1_024],
  queue: [0, 1_000_000],
  backendTimeoutMs: [1, MAX_TIMER_MS],
  maxValueBytes: [1, 268_435_456],
});

/** Those that are given, and the defaults of the others. Tells each that is out of its range, or none. */
export function limitsOf(given: Partial<Limits>, tell: (path: string, message: string) => void): Limits {
  const limits = { ...DEFAULT_LIMITS };
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(LIMIT_RANGES, name)) {
      tell(`limits.${name}`, unknownKey(`/${escapePointer(name)}`, Object.keys(LIMIT_RANGES)));
      continue;
    }
    if ((value as number | undefined) === undefined) continue;
    const [lowest, highest] = LIMIT_RANGES[name as keyof Limits];
    if (Number.isInteger(value) && value >= lowest && value <= highest) limits[name as keyof Limits] = value;
    else tell(`limits.${name}`, wholeNumberRule(lowest, highest));
  }
  return limits;
}
