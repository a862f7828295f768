/** Half of the values are below the median, and half of them between the quartiles. */
export interface Spread {
  readonly median: number;
  readonly lower: number;
  readonly upper: number;
}

/** Of ascending values, the one that this share of them does not exceed. */
export function quantile(ascending: ArrayLike<number>, share: number): number {
  return ascending[Math.max(0, Math.ceil(ascending.length * share) - 1)] ?? NaN;
}

export function median(values: Iterable<number>): number {
  const ascending = Float64Array.from(values).sort();
  const { length } = ascending;
  return length % 2 === 1
    ? quantile(ascending, 0.5)
    : ((ascending[length / 2 - 1] ?? NaN) + (ascending[length / 2] ?? NaN)) / 2;
}

export function spreadOf(values: readonly number[]): Spread {
  const ascending = Float64Array.from(values).sort();
  return { median: median(values), lower: quantile(ascending, 0.25), upper: quantile(ascending, 0.75) };
}

/** Of what was measured in the same rounds: a ratio for each round, so that what disturbs a round disturbs both sides. */
export function ratioOf(values: readonly number[], limits: readonly number[]): Spread {
  return spreadOf(values.map((value, round) => value / (limits[round] ?? NaN)));
}

/** The exponent of a power law through two points: 1 is linear growth, 0 none. */
export function growthExponent([x1, y1]: readonly [number, number], [x2, y2]: readonly [number, number]): number {
  return Math.log(y2 / y1) / Math.log(x2 / x1);
}

/** Three significant digits, without an exponent. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const rounded = Number(value.toPrecision(3));
  const decimals = rounded === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded))));
  return rounded.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** `MEDIAN (LOWER–UPPER)`. */
export function tell({ median: middle, lower, upper }: Spread): string {
  return lower === upper ? digits(middle) : `${digits(middle)} (${digits(lower)}–${digits(upper)})`;
}
