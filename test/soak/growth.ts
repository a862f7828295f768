/** What a process had at one moment. */
export interface Sample {
  readonly residentBytes: number;
  readonly descriptors: number;
  readonly processes: number;
}

/**
 * What the median of the last third of the samples may be above that of the second: a share of it, and so much more. The
 * first third is for warming up. Medians leave out the peaks of single moments; the slack is what a heap that is at rest
 * and a load that is drawn at random differ by from third to third.
 */
const SLACK: Readonly<Record<keyof Sample, { readonly share: number; readonly more: number }>> = {
  residentBytes: { share: 0.15, more: 16 * 1024 * 1024 },
  descriptors: { share: 0.1, more: 16 },
  processes: { share: 0.1, more: 8 },
};

/** With fewer there is no median worth the name. */
const FEWEST = 9;

/** What has grown; undefined where there are too few samples to tell. */
export function grown(samples: readonly Sample[]): (keyof Sample)[] | undefined {
  if (samples.length < FEWEST) return undefined;
  const third = Math.floor(samples.length / 3);
  const second = samples.slice(third, 2 * third);
  const last = samples.slice(-third);
  return (Object.keys(SLACK) as (keyof Sample)[]).filter((what) => {
    const { share, more } = SLACK[what];
    return median(last, what) > median(second, what) * (1 + share) + more;
  });
}

function median(samples: readonly Sample[], what: keyof Sample): number {
  const sorted = samples.map((sample) => sample[what]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
