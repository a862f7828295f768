import { authorize, type Decision } from '../authorize.js';
import type { Expectation } from '../config/expectations.js';
import { didYouMeanForFew } from '../config/problems.js';
import type { Registries } from '../config/secrets_config.js';

/** An expectation that does not hold. */
export interface Difference extends Omit<Expectation, 'decision'> {
  readonly expected: Expectation['decision'];
  readonly decision: Decision['decision'];
  /** For an unknown name: what may have been meant, or nothing. */
  readonly hint: string;
}

export interface Comparison {
  readonly count: number;
  readonly differences: readonly Difference[];
}

/** Compares what is expected with what the policies say. Of an unknown name nothing holds. */
export function compare(expectations: readonly Expectation[], { refs, policies }: Registries): Comparison {
  const hint = didYouMeanForFew();
  const names = refs.names();
  const differences = expectations.flatMap(({ decision: expected, ...of }): Difference[] => {
    const { decision } = authorize(of.secret, of.principal, refs, policies);
    if (decision === expected) return [];
    return [{ ...of, expected, decision, hint: decision === 'unknown' ? hint(of.secret, names) : '' }];
  });
  return { count: expectations.length, differences };
}
