import { authorize } from '../authorize.js';
import { type Configuration, loadConfiguration } from '../config/load.js';
import { didYouMean } from '../config/problems.js';
import { isIdentifier } from '../domain/identifier.js';
import { type Principal, principalOf } from '../domain/identity.js';
import type { SecretPolicy, SecretStore } from '../domain/secrets.js';
import { type OptionValues, requiredOption, UsageError } from './arguments.js';
import { describeCode } from './ask.js';
import { EXIT, EXIT_OF_CODE } from './exit_status.js';
import { complain, type Io } from './io.js';
import { formatRows } from './table.js';

interface Explanation {
  readonly secret: string;
  readonly principal: Principal;
  readonly decision: 'allowed' | 'denied' | 'unknown';
  readonly policy: string | null;
  readonly store: string | null;
  readonly backend: string | null;
  readonly reason: string;
  /** What would have to change for it to be allowed; part of the reason in JSON. */
  readonly change?: string;
}

const STATUS = {
  allowed: EXIT.ok,
  denied: EXIT_OF_CODE.access_denied,
  unknown: EXIT_OF_CODE.unknown_secret,
} as const;

/** Follows a name through the configuration as the daemon does, up to where it would ask the store. */
export async function explain(io: Io, options: OptionValues, name: string): Promise<number> {
  const launchFile = requiredOption(options, 'launch', 'FILE');
  const role = options['as'];
  if (typeof role === 'string' && !isIdentifier(role)) throw new UsageError('--as ROLE must be an identifier');
  if (!isIdentifier(name)) {
    await complain(io, 'mxm-secretsd explain', describeCode('invalid_secret_name'));
    return EXIT_OF_CODE.invalid_secret_name;
  }
  const configuration = loadConfiguration(launchFile);
  const principal = typeof role === 'string' ? role : principalOf(configuration.identity);
  const explanation = explanationOf(name, principal, configuration);
  await io.stdout.write(options['json'] === true ? asJson(explanation) : formatRows(asRows(explanation), io.stdout));
  return STATUS[explanation.decision];
}

function asJson({ change, reason, ...chain }: Explanation): string {
  const whole = { ...chain, reason: change === undefined ? reason : `${reason}; ${change}` };
  return `${JSON.stringify(whole, null, 2)}\n`;
}

/** In the order in which one thing leads to the next. */
function asRows({ secret, principal, policy, decision, store, backend, reason, change }: Explanation): string[][] {
  const rows = { secret, principal, policy, decision, store, backend, reason, change };
  return Object.entries(rows).flatMap(([key, value]) => (typeof value === 'string' ? [[key, value]] : []));
}

function explanationOf(secret: string, principal: Principal, configuration: Configuration): Explanation {
  const { refs, policies, stores } = configuration.registries;
  const decided = authorize(secret, principal, refs, policies);
  const { decision } = decided;
  if (decision === 'unknown') {
    const reason = `no ref of that name is configured${didYouMean(secret, refs.names())}`;
    return { secret, principal, decision, policy: null, store: null, backend: null, reason };
  }
  const { policy, store } = decided.ref;
  // A ref of a configuration that was checked names a store and a policy.
  const { backend } = stores.get(store) as SecretStore;
  const { allowedPrincipals } = policies.get(policy) as SecretPolicy;
  const chain = { secret, principal, decision, policy, store, backend };
  if (decision === 'allowed') return { ...chain, reason: `${policy} lists ${principal}` };
  return {
    ...chain,
    reason: `${policy} ${listed(allowedPrincipals)}${otherRole(principal, policies.values())}`,
    change: `add ${principal} to allowed_principals of ${policy}, ${String(configuration.policyPlaces.get(policy))}`,
  };
}

function listed(principals: readonly Principal[]): string {
  return principals.length === 0 ? 'lists nobody' : `lists only ${principals.join(', ')}`;
}

/** A principal that no policy names may be a slip. */
function otherRole(principal: Principal, policies: Iterable<SecretPolicy>): string {
  const known = new Set([...policies].flatMap(({ allowedPrincipals }) => allowedPrincipals));
  return known.has(principal) ? '' : didYouMean(principal, known);
}
