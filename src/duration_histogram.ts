/** A value of a metric, in the form that prom-client prints. */
interface MetricValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

interface Tally {
  readonly labels: Readonly<Record<string, string>>;
  /** By bucket, without those of smaller ones; the last is for what is above all bounds. */
  readonly counts: number[];
  sum: number;
}

/** Durations by two labels, as a metric that prom-client can ask: its own histogram looks for its labels at each one. */
export class DurationHistogram {
  readonly type = 'histogram';
  readonly #tallies = new Map<string, Map<string, Tally>>();

  /** `bounds` in seconds, ascending. */
  constructor(
    readonly name: string,
    readonly help: string,
    private readonly labelNames: readonly [string, string],
    private readonly bounds: readonly number[],
  ) {}

  observe(first: string, second: string, seconds: number): void {
    const tally = this.#tallies.get(first)?.get(second) ?? this.#begin(first, second);
    let bucket = 0;
    while (bucket < this.bounds.length && seconds > (this.bounds[bucket] as number)) bucket += 1;
    tally.counts[bucket] = (tally.counts[bucket] as number) + 1;
    tally.sum += seconds;
  }

  #begin(first: string, second: string): Tally {
    const labels = { [this.labelNames[0]]: first, [this.labelNames[1]]: second };
    const tally = { labels, counts: Array<number>(this.bounds.length + 1).fill(0), sum: 0 };
    const seconds = this.#tallies.get(first) ?? new Map<string, Tally>();
    this.#tallies.set(first, seconds.set(second, tally));
    return tally;
  }

  /** What prom-client asks for. */
  get() {
    const { name, help, type } = this;
    const tallies = [...this.#tallies.values()].flatMap((bySecond) => [...bySecond.values()]);
    return Promise.resolve({ name, help, type, values: tallies.flatMap((tally) => this.#valuesOf(tally)) });
  }

  #valuesOf({ labels, counts, sum }: Tally): MetricValue[] {
    let count = 0;
    const buckets = [...this.bounds, '+Inf'].map((le, bucket) => {
      count += counts[bucket] as number;
      return { metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: count },
    ];
  }
}
