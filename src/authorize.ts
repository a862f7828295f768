import type { Principal } from './domain/identity.js';
import type { Registry } from './domain/registry.js';
import type { SecretPolicy, SecretRef } from './domain/secrets.js';

/** What the configuration says of one name and one principal. Only an `allowed` one can be resolved and retrieved. */
export type Decision =
  | { readonly decision: 'allowed'; readonly ref: SecretRef }
  | { readonly decision: 'denied'; readonly ref: SecretRef }
  | { readonly decision: 'unknown' };

export type AllowedDecision = Extract<Decision, { decision: 'allowed' }>;

/** Pure, and default-deny: what no policy lists by name is denied. */
export function authorize(
  name: string,
  principal: Principal,
  refs: Registry<SecretRef>,
  policies: Registry<SecretPolicy>,
): Decision {
  const ref = refs.get(name);
  if (ref === undefined) return { decision: 'unknown' };
  const allowed = policies.get(ref.policy)?.allowedPrincipals.includes(principal) ?? false;
  return { decision: allowed ? 'allowed' : 'denied', ref };
}

/** The names that a principal may read, sorted. */
export function readableNames(
  principal: Principal,
  refs: Registry<SecretRef>,
  policies: Registry<SecretPolicy>,
): string[] {
  return refs.names().filter((name) => authorize(name, principal, refs, policies).decision === 'allowed');
}
