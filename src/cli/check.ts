import { SecretsApi } from '../api.js';
import { type Configuration, loadConfiguration } from '../config/load.js';
import { describeReason } from '../domain/errors.js';
import { principalOf } from '../domain/identity.js';
import type { SecretStore } from '../domain/secrets.js';
import type { StoreStatus } from '../readiness.js';
import { type OptionValues, requiredOption } from './arguments.js';
import { EXIT } from './exit_status.js';
import type { Io } from './io.js';
import { formatRows } from './table.js';

interface SecretRow {
  readonly name: string;
  readonly store: string;
  readonly backend: string;
  readonly policy: string;
  readonly decision: 'allowed' | 'denied' | 'unknown';
}

export async function check(io: Io, options: OptionValues): Promise<number> {
  const configuration = loadConfiguration(requiredOption(options, 'launch', 'FILE'));
  const { identity, limits, registries } = configuration;
  const api = new SecretsApi(registries, { limits, environment: io.environment });
  const secrets = api.refs().map((ref): SecretRow => ({
    name: ref.name,
    store: ref.store,
    // A ref of a configuration that was checked names a store.
    backend: (registries.stores.get(ref.store) as SecretStore).backend,
    policy: ref.policy,
    decision: api.decide(ref.name, identity).decision,
  }));
  const stores = options['offline'] === true ? undefined : await api.readiness();
  await io.stdout.write(
    options['json'] === true ? asJson(configuration, secrets, stores) : asTables(io, configuration, secrets, stores),
  );
  const ready = [...(stores?.values() ?? [])].every(({ status }) => status === 'ready');
  return ready ? EXIT.ok : EXIT.unavailable;
}

type Stores = ReadonlyMap<string, StoreStatus> | undefined;

function asJson({ identity }: Configuration, secrets: readonly SecretRow[], stores: Stores): string {
  const statuses = [...(stores ?? [])].map(([name, { backend, status, code }]) => [name, { backend, status, code }]);
  const report = {
    identity,
    principal: principalOf(identity),
    secrets,
    ...(stores && { stores: Object.fromEntries(statuses) as unknown }),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

function asTables(io: Io, { identity }: Configuration, secrets: readonly SecretRow[], stores: Stores): string {
  const { isTTY } = io.stdout;
  function withHeader(header: string[], rows: string[][]): string[][] {
    return isTTY && rows.length > 0 ? [header, ...rows] : rows;
  }

  const tables: string[][][] = [
    [
      ...Object.entries(identity).map(([key, value]) => ['identity', key, String(value)]),
      ['principal', principalOf(identity)],
    ],
    withHeader(
      ['', 'SECRET', 'STORE', 'BACKEND', 'POLICY', 'DECISION'],
      secrets.map(({ name, store, backend, policy, decision }) => ['secret', name, store, backend, policy, decision]),
    ),
  ];
  if (stores !== undefined) {
    tables.push(withHeader(['', 'STORE', 'BACKEND', 'STATUS', 'CODE', 'REASON'], [...stores].map(storeRow)));
  }
  return tables.map((rows) => formatRows(rows, io.stdout)).join(isTTY ? '\n' : '');
}

function storeRow([name, { backend, status, code, reason }]: [string, StoreStatus]): string[] {
  const row = ['store', name, backend, status];
  if (code === undefined || reason === undefined) return row;
  return [...row, code, reason, describeReason(reason)];
}
