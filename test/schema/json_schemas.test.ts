import { readdirSync, readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import t from 'tap';
import { launchJsonSchema, secretsJsonSchema } from '../../schema/json_schemas.js';
import { BACKENDS } from '../../src/backends/table.js';
import { childOf } from '../../src/config/pointer.js';
import { parseYaml } from '../../src/config/yaml_document.js';

const CONFIG = new URL('../../config/', import.meta.url);

const ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true });
const isLaunch = ajv.compile(launchJsonSchema());
const isSecrets = ajv.compile(secretsJsonSchema());

interface Example {
  readonly name: string;
  readonly text: string;
  readonly data: unknown;
  readonly validate: ValidateFunction;
}

const examples: Example[] = readdirSync(CONFIG)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => {
    const text = readFileSync(new URL(name, CONFIG), 'utf8');
    const { data } = parseYaml(text);
    const isOfLaunch = name.startsWith('launch');
    // The full example stands under the key that its launch file names.
    return {
      name,
      text,
      data: isOfLaunch ? data : (childOf(data, 'mxm_secrets') ?? data),
      validate: isOfLaunch ? isLaunch : isSecrets,
    };
  });

const IDENTITY = { machine: 'bridge', environment: 'dev', role: 'marketdata' };
const LAUNCH = { identity: IDENTITY, secrets: 'secrets.yaml', socket: { path: 's.sock' } };
const SECRETS = {
  stores: { red: { backend: 'gopass', root: 'mxm/red' } },
  refs: { api_key: { store: 'red', path: 'a/b', policy: 'open' } },
  policies: { open: { allowed_principals: ['marketdata'] } },
};

t.test('every example fits', (t) => {
  t.ok(examples.length >= 4);
  for (const { name, data, validate } of examples) t.ok(validate(data), `${name}: ${ajv.errorsText(validate.errors)}`);
  t.end();
});

t.test('every example names its schema for editors', (t) => {
  for (const { name, text, validate } of examples) {
    if (name === 'secrets.full.yaml') continue; // its sections stand under a key of a larger file
    const schema = validate === isLaunch ? 'launch' : 'secrets';
    t.ok(text.startsWith(`# yaml-language-server: $schema=../schema/${schema}.schema.json\n`), name);
  }
  t.end();
});

t.test('a launch file that check refuses for its shape does not fit', (t) => {
  t.ok(isLaunch(LAUNCH));
  const wrong = {
    'an unknown key': { ...LAUNCH, sockets: {} },
    'no secrets': { identity: IDENTITY, socket: LAUNCH.socket },
    'a role that is no identifier': { ...LAUNCH, identity: { ...IDENTITY, role: 'Market Data' } },
    'a mode that is a number': { ...LAUNCH, socket: { path: 's', mode: 600 } },
    'a queue below zero': { ...LAUNCH, limits: { queue: -1 } },
    'a level that is none': { ...LAUNCH, log: { level: 'loud' } },
  };
  for (const [what, data] of Object.entries(wrong)) t.notOk(isLaunch(data), what);
  t.end();
});

t.test('a secrets file that check refuses for its shape does not fit', (t) => {
  t.ok(isSecrets(SECRETS));
  const withRef = (ref: object): object => ({ ...SECRETS, refs: { api_key: { ...SECRETS.refs.api_key, ...ref } } });
  const wrong = {
    'a missing section': { stores: {}, refs: {} },
    'an unknown section': { ...SECRETS, policy: {} },
    'an unknown backend': { ...SECRETS, stores: { red: { backend: 'gpoass', root: 'x' } } },
    'a key of another backend': { ...SECRETS, stores: { red: { backend: 'env', root: 'x', binary: '/b' } } },
    'a name that is none': { ...SECRETS, refs: { 'Api-Key': SECRETS.refs.api_key } },
    'an absolute path': withRef({ path: '/a/b' }),
    'an empty segment': withRef({ path: 'a//b' }),
    'a trailing slash': withRef({ path: 'a/' }),
    'a segment of one dot': withRef({ path: 'a/./b' }),
    'a segment of two dots': withRef({ path: '..' }),
    'white space around a path': withRef({ path: ' a' }),
    'a principal twice': { ...SECRETS, policies: { open: { allowed_principals: ['a', 'a'] } } },
  };
  for (const [what, data] of Object.entries(wrong)) t.notOk(isSecrets(data), what);
  for (const path of ['..a', 'a..', 'a.b/.c', '...']) t.ok(isSecrets(withRef({ path })), path);
  t.end();
});

function withStore(store: object): object {
  return { ...SECRETS, stores: { red: { ...SECRETS.stores.red, ...store } } };
}

t.test('a root that is no directory has segments, one that is may be any', (t) => {
  for (const backend of ['gopass', 'env']) {
    const fits = (root: string): boolean => isSecrets(withStore({ backend, root }));
    for (const root of ['mxm', '/mxm/red', 'mxm/red//', '//..a/b.', '...']) t.ok(fits(root), root);
    for (const root of ['/', '//', '.', 'mxm/../red', 'mxm//red', '../red', 'mxm/./', '/..']) t.notOk(fits(root), root);
  }
  t.ok(isSecrets(withStore({ backend: 'pass', root: '../red' })));
  t.end();
});

t.test('a server has addresses and one way to log in', (t) => {
  const address = 'https://bao.example:8200';
  const auth = { token_file: 't' };
  const ofAppRole = { role_id_file: 'r', secret_id_file: 's' };
  const fits = (keys: object): boolean => isSecrets(withStore({ backend: 'openbao', address, auth, ...keys }));
  for (const keys of [
    {},
    { address: [address, 'unix:/run/bao.sock'], mount: 'team/kv' },
    { auth: ofAppRole },
    { auth: { ...ofAppRole, mount: 'team/approle' } },
  ]) {
    t.ok(fits(keys), JSON.stringify(keys));
  }
  for (const keys of [
    { root: 'mxm/../red' },
    { address: 'bao.example:8200' },
    { address: 'http://bao.example:8200' },
    { address: [address, 'bao.example'] },
    { address: [address, address] },
    { address: [] },
    { mount: 'kv/' },
    { auth: {} },
    { auth: { mount: 'm' } },
    { auth: { role_id_file: 'r' } },
    { auth: { secret_id_file: 's' } },
    { auth: { ...auth, mount: 'm' } },
    { auth: { ...auth, ...ofAppRole } },
    { auth: { ...ofAppRole, mount: '../m' } },
  ]) {
    t.notOk(fits(keys), JSON.stringify(keys));
  }
  t.end();
});

t.test('an editor is offered every backend and what its keys mean', (t) => {
  const { stores } = secretsJsonSchema()['properties'] as { stores: { additionalProperties: Stores } };
  const { oneOf, properties } = stores.additionalProperties;
  t.same(properties.backend.enum, [...BACKENDS.keys()], 'whatever other keys are there already');
  t.same(
    oneOf.map(({ properties }) => properties['backend']?.const),
    [...BACKENDS.keys()],
  );
  for (const { title, properties } of oneOf) {
    for (const [key, { description }] of Object.entries(properties)) t.ok(description, `${title}: ${key}`);
  }
  t.end();
});

interface Stores {
  readonly properties: { readonly backend: { readonly enum: readonly string[] } };
  readonly oneOf: readonly Store[];
}

interface Store {
  readonly title: string;
  readonly properties: Readonly<Record<string, { readonly description?: string; readonly const?: string }>>;
}
