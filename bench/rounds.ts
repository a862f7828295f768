import type { Sample } from './load.js';
import { quantile, type Spread, spreadOf } from './statistics.js';

/** A round with fewer requests says nothing of the slowest hundredth. */
const ENOUGH_FOR_P99 = 100;

/** What is measured against others in the same rounds. */
export interface Contender {
  readonly name: string;
  measure(ms: number): Promise<Sample>;
  /** Milliseconds of processor time so far, where the sample itself does not hold them. */
  cpuMs?(): number;
}

export interface Round extends Sample {
  readonly serverCpuMs: number;
}

/**
 * ABCCBA…: what disturbs the machine for longer than a round disturbs all alike, and nobody always comes after the same
 * one.
 */
export async function inTurn<T>(
  rounds: number,
  contenders: readonly T[],
  measure: (contender: T) => Promise<Round>,
): Promise<Map<T, Round[]>> {
  const measured = new Map<T, Round[]>(contenders.map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      measured.get(contender)?.push(await measure(contender));
    }
  }
  return measured;
}

/** One round of one contender. */
export async function roundOf(contender: Contender, ms: number): Promise<Round> {
  const before = contender.cpuMs?.() ?? 0;
  const sample = await contender.measure(ms);
  return { ...sample, serverCpuMs: contender.cpuMs === undefined ? sample.cpuMs : contender.cpuMs() - before };
}

export function p50s(rounds: readonly Round[]): number[] {
  return rounds.map(({ latencies }) => quantile(latencies, 0.5));
}

/** Requests in a second. */
export function rates(rounds: readonly Round[]): number[] {
  return rounds.map(({ latencies, wallMs }) => (latencies.length / wallMs) * 1_000);
}

/** Processor time for each request, in ms. */
export function costs(rounds: readonly Round[]): number[] {
  return rounds.map(({ latencies, serverCpuMs }) => serverCpuMs / latencies.length);
}

/** Of each round where rounds are large enough, else of all that was asked. */
export function p99(rounds: readonly Round[]): Spread {
  return rounds.every(({ latencies }) => latencies.length >= ENOUGH_FOR_P99)
    ? spreadOf(rounds.map(({ latencies }) => quantile(latencies, 0.99)))
    : spreadOf([quantile(allLatencies(rounds), 0.99)]);
}

/** Ascending. */
export function allLatencies(rounds: readonly Round[]): Float64Array {
  return Float64Array.from(rounds.flatMap(({ latencies }) => [...latencies])).sort();
}
