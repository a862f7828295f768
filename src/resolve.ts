import type { AllowedDecision } from './authorize.js';
import type { Registry } from './domain/registry.js';
import type { ResolvedSecretLocation, SecretStore } from './domain/secrets.js';

/** Location = root without its trailing slashes, `/`, path. */
export function joinLocation(root: string, path: string): string {
  return `${root.replace(/\/+$/, '')}/${path}`;
}

/** Takes a decision and not a name, so that nothing that was not allowed has a location. */
export function resolve(decision: AllowedDecision, stores: Registry<SecretStore>): ResolvedSecretLocation {
  const { ref } = decision;
  const store = stores.get(ref.store);
  // Configuration is checked as a whole before it is used, so this is a defect and not a user's mistake.
  if (store === undefined) throw new RangeError('a ref names a store that is not configured');
  return { ref, store, location: joinLocation(store.root, ref.path) };
}
