import fc from 'fast-check';

/** A rule that holds for all cases. */
export interface Property {
  readonly name: string;
  /** Of all cases. */
  readonly share: number;
  /** What is wrong, and with which case; undefined where the rule held. */
  readonly check: (seed: number, cases: number) => Promise<string | undefined>;
}

export function property<Case>(name: string, share: number, rule: fc.IRawProperty<Case>): Property {
  return {
    name,
    share,
    async check(seed, cases) {
      const details = await fc.check(rule, { seed, numRuns: cases });
      if (!details.failed) return undefined;
      return `${fc.defaultReportMessage(details) ?? ''}\n${String(details.errorInstance)}`;
    },
  };
}
