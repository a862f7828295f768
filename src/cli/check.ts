import { SecretsApi } from '../api.js';
import { authorize } from '../authorize.js';
import { loadExpectations } from '../config/expectations.js';
import { type Configuration, loadConfiguration } from '../config/load.js';
import { describeReason } from '../domain/errors.js';
import { type Principal, principalOf } from '../domain/identity.js';
import type { SecretRef, SecretStore } from '../domain/secrets.js';
import type { StoreStatus } from '../readiness.js';
import { type OptionValues, requiredOption } from './arguments.js';
import { EXIT } from './exit_status.js';
import { compare, type Comparison, type Difference } from './expectation.js';
import type { Io } from './io.js';
import { formatRows } from './table.js';

interface SecretRow {
  readonly name: string;
  readonly store: string;
  readonly backend: string;
  readonly policy: string;
  /** For the principal of the launch file, or for each that is in question. */
  readonly decisions: readonly (readonly [principal: Principal, decision: string])[];
}

interface Report {
  readonly configuration: Configuration;
  readonly secrets: readonly SecretRow[];
  /** Whether the decisions of all principals are asked for. */
  readonly matrix: boolean;
  /** Undefined when no store was probed. */
  readonly stores: ReadonlyMap<string, StoreStatus> | undefined;
  /** Undefined when nothing is expected. */
  readonly comparison: Comparison | undefined;
}

export async function check(io: Io, options: OptionValues): Promise<number> {
  const launchFile = requiredOption(options, 'launch', 'FILE');
  const expectFile = options['expect'] === undefined ? undefined : requiredOption(options, 'expect', 'FILE');
  const offline = options['offline'] === true;
  const configuration = loadConfiguration(launchFile, { runsHere: !offline });
  const { identity, limits, registries } = configuration;
  const expectations = expectFile === undefined ? undefined : loadExpectations(expectFile);
  const matrix = options['matrix'] === true;
  const api = new SecretsApi(registries, { limits, environment: io.environment });
  const report: Report = {
    configuration,
    secrets: secretRows(api.refs(), configuration, matrix ? principalsOf(configuration) : [principalOf(identity)]),
    matrix,
    stores: offline ? undefined : await api.readiness(),
    comparison: expectations && compare(expectations, registries),
  };
  await io.stdout.write(options['json'] === true ? asJson(report) : asTables(report, io.stdout.isTTY));
  if (report.comparison !== undefined && report.comparison.differences.length > 0) return EXIT.expectation;
  const ready = [...(report.stores?.values() ?? [])].every(({ status }) => status === 'ready');
  return ready ? EXIT.ok : EXIT.unavailable;
}

/** Every principal that a policy names, sorted. */
function principalsOf({ registries }: Configuration): Principal[] {
  return [...new Set([...registries.policies.values()].flatMap(({ allowedPrincipals }) => allowedPrincipals))].sort();
}

function secretRows(
  refs: readonly SecretRef[],
  { registries }: Configuration,
  principals: readonly Principal[],
): SecretRow[] {
  return refs.map(({ name, store, policy }) => ({
    name,
    store,
    // A ref of a configuration that was checked names a store.
    backend: (registries.stores.get(store) as SecretStore).backend,
    policy,
    decisions: principals.map((principal) => [
      principal,
      authorize(name, principal, registries.refs, registries.policies).decision,
    ]),
  }));
}

function asJson({ configuration, secrets, matrix, stores, comparison }: Report): string {
  const { identity } = configuration;
  const report = {
    identity,
    principal: principalOf(identity),
    secrets: secrets.map(({ decisions, ...secret }) => ({
      ...secret,
      ...(matrix ? { principals: Object.fromEntries(decisions) } : { decision: decisions[0]?.[1] }),
    })),
    ...(stores && {
      stores: Object.fromEntries(
        [...stores].map(([name, { backend, status, code }]) => [name, { backend, status, code }]),
      ),
    }),
    ...(comparison && {
      differences: comparison.differences.map(({ principal, secret, expected, decision, place }) => ({
        principal,
        secret,
        expected,
        decision,
        place,
      })),
    }),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

function asTables(report: Report, isTTY: boolean): string {
  const { configuration, stores, comparison } = report;
  const { identity } = configuration;
  function withHeader(header: string[], rows: string[][]): string[][] {
    return isTTY && rows.length > 0 ? [header, ...rows] : rows;
  }

  const tables: string[][][] = [
    [
      ...Object.entries(identity).map(([key, value]) => ['identity', key, String(value)]),
      ['principal', principalOf(identity)],
    ],
    withHeader(...secretTable(report, isTTY)),
  ];
  if (stores !== undefined) {
    tables.push(withHeader(['', 'STORE', 'BACKEND', 'STATUS', 'CODE', 'REASON'], [...stores].map(storeRow)));
  }
  if (comparison !== undefined) {
    const { count, differences } = comparison;
    tables.push(
      [['expected', `${count - differences.length} of ${count} hold`]],
      withHeader(['', 'PRINCIPAL', 'SECRET', 'EXPECTED', 'DECISION', 'PLACE'], differences.map(differenceRow)),
    );
  }
  return tables
    .filter((rows) => rows.length > 0)
    .map((rows) => formatRows(rows, { isTTY }))
    .join(isTTY ? '\n' : '');
}

/**
 * Header and rows. Of several principals each has a column where somebody reads it, and elsewhere a row, as without
 * the header a column would have no name.
 */
function secretTable({ secrets, matrix }: Report, isTTY: boolean): [header: string[], rows: string[][]] {
  const start = ({ name, store, backend, policy }: SecretRow): string[] => ['secret', name, store, backend, policy];
  const header = ['', 'SECRET', 'STORE', 'BACKEND', 'POLICY'];
  if (!matrix) {
    const rows = secrets.map((row) => [...start(row), ...row.decisions.map(([, decision]) => decision)]);
    return [[...header, 'DECISION'], rows];
  }
  if (!isTTY) return [header, secrets.flatMap((row) => row.decisions.map((pair) => [...start(row), ...pair]))];
  return [
    [...header, ...(secrets[0]?.decisions ?? []).map(([principal]) => principal)],
    secrets.map((row) => [...start(row), ...row.decisions.map(([, decision]) => decision)]),
  ];
}

function differenceRow({ principal, secret, expected, decision, place, hint }: Difference): string[] {
  return ['differs', principal, secret, expected, decision, `${place}${hint}`];
}

function storeRow([name, { backend, status, code, reason }]: [string, StoreStatus]): string[] {
  const row = ['store', name, backend, status];
  if (code === undefined || reason === undefined) return row;
  return [...row, code, reason, describeReason(reason)];
}
