import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { BACKENDS } from '../../src/backends/table.js';
import { LAUNCH_SCHEMA } from '../../src/config/launch_config.js';
import { loadConfiguration } from '../../src/config/load.js';
import { childOf, isMapping } from '../../src/config/pointer.js';
import { SECRETS_SCHEMAS, type SECTIONS } from '../../src/config/secrets_config.js';
import { parseYaml } from '../../src/config/yaml_document.js';
import { temporaryFolder } from '../support/temporary.js';

const CONFIG = fileURLToPath(new URL('../../config/', import.meta.url));
const files = readdirSync(CONFIG).filter((name) => name.endsWith('.yaml'));

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly default?: unknown;
  readonly description?: string;
}

/** Every key of a schema, as `socket.mode`, with its schema. */
function keysOf(schema: Schema, prefix = ''): [string, Schema][] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const path = `${prefix}${key}`;
    return [[path, property], ...keysOf(property, `${path}.`)] as [string, Schema][];
  });
}

function valueAt(data: unknown, path: string): unknown {
  return path.split('.').reduce(childOf, data);
}

function dataOf(name: string): unknown {
  return parseYaml(readFileSync(join(CONFIG, name), 'utf8')).data;
}

/** The entries of a section of the full secrets file, which stands under the key that the full launch file names. */
function fullEntries(section: (typeof SECTIONS)[number]): unknown[] {
  const sections = childOf(dataOf('secrets.full.yaml'), String(valueAt(dataOf('launch.full.yaml'), 'secrets_section')));
  const entries = childOf(sections, section);
  return isMapping(entries) ? Object.values(entries) : [];
}

t.test('every launch file among the examples is accepted, with the secrets file that it names', (t) => {
  // A checkout may belong to somebody else than the one who tests: copies do not.
  const folder = temporaryFolder(t);
  for (const name of files) copyFileSync(join(CONFIG, name), join(folder, name));
  const launches = files.filter((name) => name.startsWith('launch'));
  t.ok(launches.includes('launch.yaml') && launches.includes('launch.full.yaml'));
  const named = launches.map((name) => {
    t.doesNotThrow(() => loadConfiguration(join(folder, name)), name);
    return valueAt(dataOf(name), 'secrets');
  });
  t.same([...launches, ...named].sort(), [...files].sort(), 'every example is a launch file or named by one');
  t.end();
});

t.test('the default example needs nothing but Node', (t) => {
  const { data } = parseYaml(readFileSync(join(CONFIG, 'secrets.yaml'), 'utf8'));
  const stores = Object.values(childOf(data, 'stores') as object);
  t.same(
    stores.map((store) => childOf(store, 'backend')),
    ['env'],
  );
  t.end();
});

t.test('the default example shows a name that is allowed and one that is denied', (t) => {
  const role = valueAt(dataOf('launch.yaml'), 'identity.role');
  const policies = Object.values(childOf(dataOf('secrets.yaml'), 'policies') as object);
  const allows = policies.map((policy) => (childOf(policy, 'allowed_principals') as unknown[]).includes(role));
  t.ok(allows.includes(true) && allows.includes(false));
  t.end();
});

t.test('the full launch file shows every key', (t) => {
  const data = dataOf('launch.full.yaml');
  for (const [path] of keysOf(LAUNCH_SCHEMA as Schema)) t.not(valueAt(data, path), undefined, path);
  t.end();
});

t.test('the full launch file shows every default as it is', (t) => {
  const data = dataOf('launch.full.yaml');
  const withDefault = keysOf(LAUNCH_SCHEMA as Schema).filter(([, schema]) => schema.default !== undefined);
  t.ok(withDefault.length > 0);
  for (const [path, schema] of withDefault) t.equal(valueAt(data, path), schema.default, path);
  t.end();
});

t.test('the full secrets file shows a store of every backend, with every key and default', (t) => {
  const stores = fullEntries('stores');
  for (const [backend] of BACKENDS) {
    const ofBackend = stores.filter((store) => childOf(store, 'backend') === backend);
    for (const [path, schema] of keysOf(SECRETS_SCHEMAS.stores(backend))) {
      const shown = ofBackend.map((store) => valueAt(store, path)).filter((value) => value !== undefined);
      t.ok(shown.length > 0, `${backend}: ${path}`);
      if (schema.default !== undefined) t.ok(shown.includes(schema.default), `${backend}: default of ${path}`);
    }
  }
  t.end();
});

t.test('the full secrets file shows every key of a ref and of a policy', (t) => {
  for (const section of ['refs', 'policies'] as const) {
    const entries = fullEntries(section);
    for (const [path] of keysOf(SECRETS_SCHEMAS[section])) {
      t.ok(
        entries.some((entry) => valueAt(entry, path) !== undefined),
        `${section}: ${path}`,
      );
    }
  }
  t.end();
});

t.test('every key of a schema says what it is, as the error of a missing one tells it', (t) => {
  const schemas: [string, Schema][] = [
    ['launch', LAUNCH_SCHEMA as Schema],
    ['ref', SECRETS_SCHEMAS.refs],
    ['policy', SECRETS_SCHEMAS.policies],
    ...[...BACKENDS.keys()].map((name): [string, Schema] => [name, SECRETS_SCHEMAS.stores(name) as Schema]),
  ];
  for (const [what, schema] of schemas) {
    for (const [path, { description }] of keysOf(schema)) t.ok(description, `${what}: ${path}`);
  }
  t.end();
});

t.test('the full examples have comments on what the keys are', (t) => {
  for (const name of ['launch.full.yaml', 'secrets.full.yaml']) {
    const lines = readFileSync(join(CONFIG, name), 'utf8').split('\n');
    t.ok(lines.filter((line) => line.includes('# ')).length > 8, name);
  }
  t.end();
});
