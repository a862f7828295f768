import fc from 'fast-check';
import t from 'tap';
import { SecretsApi } from '../../src/api.js';
import { authorize } from '../../src/authorize.js';
import { BACKENDS } from '../../src/backends/table.js';
import { escapePointer } from '../../src/config/pointer.js';
import { IDENTIFIER_RULE } from '../../src/config/schema.js';
import { checkRegistries, checkSecrets, type Registries, secretsPath } from '../../src/config/secrets_config.js';
import { Registry } from '../../src/domain/registry.js';
import { resolve } from '../../src/resolve.js';
import { complaints, complaintsOf, configError, collector } from '../support/config_files.js';

interface Data {
  readonly stores: unknown;
  readonly refs: unknown;
  readonly policies: unknown;
}

const GOOD = {
  stores: {
    red: { backend: 'gopass', root: 'mxm/red' },
    local: { backend: 'env', root: 'mxm/dev' },
  },
  refs: {
    api_key: { store: 'red', path: 'marketdata/api_key', policy: 'marketdata_access' },
    dsn: { store: 'local', path: 'sentry-dsn', policy: 'nobody' },
  },
  policies: {
    marketdata_access: { allowed_principals: ['marketdata', 'research'] },
    nobody: { allowed_principals: [] },
  },
};

function withStore(store: unknown): Data {
  return { ...GOOD, stores: { ...GOOD.stores, red: store } };
}

function withRef(ref: object): Data {
  return { ...GOOD, refs: { ...GOOD.refs, api_key: { ...GOOD.refs.api_key, ...ref } } };
}

function withPolicy(policy: unknown): Data {
  return { ...GOOD, policies: { ...GOOD.policies, marketdata_access: policy } };
}

function problemsOf(data: unknown): string[] {
  return complaintsOf(() => SecretsApi.fromConfigData(data as Data));
}

function registriesOf(data: unknown, base = ''): Registries {
  const { told, report } = collector();
  const registries = checkSecrets(data, base, report);
  if (registries === undefined) throw new Error(told.join('\n'));
  return registries;
}

// --- what is accepted

const BAD_SEGMENT = 'must not have an empty, "." or ".." segment';

t.test('the three sections become registries', (t) => {
  const { stores, refs, policies } = registriesOf(withRef({ field: 'password' }));
  t.same(stores.get('red'), { name: 'red', backend: 'gopass', root: 'mxm/red', options: {} });
  t.same(refs.get('api_key'), {
    name: 'api_key',
    store: 'red',
    path: 'marketdata/api_key',
    policy: 'marketdata_access',
    field: 'password',
  });
  t.same(refs.get('dsn'), { name: 'dsn', store: 'local', path: 'sentry-dsn', policy: 'nobody' });
  t.same(policies.get('marketdata_access'), {
    name: 'marketdata_access',
    allowedPrincipals: ['marketdata', 'research'],
  });
  t.end();
});

t.test('what is accepted cannot be changed any more', (t) => {
  const data = structuredClone(withStore({ ...GOOD.stores.red, binary: '/bin/gopass' })) as typeof GOOD;
  const registries = registriesOf(data);
  const { stores, refs, policies } = registries;
  for (const frozen of [
    registries,
    stores.get('red'),
    stores.get('red')?.options,
    refs.get('api_key'),
    policies.get('marketdata_access'),
    policies.get('marketdata_access')?.allowedPrincipals,
  ]) {
    t.ok(Object.isFrozen(frozen));
  }
  data.policies.marketdata_access.allowed_principals.push('intruder');
  t.same(policies.get('marketdata_access')?.allowedPrincipals, ['marketdata', 'research']);
  t.end();
});

t.test('empty sections are accepted, and an empty list denies everybody', (t) => {
  t.same(problemsOf({ stores: {}, refs: {}, policies: {} }), []);
  t.same(problemsOf(withPolicy({ allowed_principals: [] })), []);
  t.end();
});

t.test('a store has the further keys of its backend', (t) => {
  const { stores } = registriesOf(withStore({ backend: 'gopass', root: 'r', binary: '/usr/local/bin/gopass' }));
  t.same(stores.get('red')?.options, { binary: '/usr/local/bin/gopass' });
  t.end();
});

t.test('a root may begin and end with slashes', (t) => {
  for (const root of ['mxm/red/', '/mxm/red', '//mxm/red//', 'mxm']) {
    t.same(problemsOf(withStore({ backend: 'gopass', root })), [], root);
    t.equal(registriesOf(withStore({ backend: 'gopass', root })).stores.get('red')?.root, root, 'it stays as it is');
  }
  t.end();
});

t.test('names that mean something to JavaScript are names like others', (t) => {
  const data = {
    stores: { constructor: GOOD.stores.red },
    refs: { constructor: { store: 'constructor', path: 'constructor', policy: 'constructor' } },
    policies: { constructor: { allowed_principals: ['constructor'] } },
  };
  t.same(problemsOf(data), []);
  t.equal(registriesOf(data).refs.get('constructor')?.path, 'constructor');
  t.same(problemsOf({ ...data, stores: {} }), ['refs.constructor.store: "constructor" is no store']);
  t.same(problemsOf({ ...data, policies: {} }), ['refs.constructor.policy: "constructor" is no policy']);
  t.end();
});

t.test('keys with the value undefined are absent ones, as in a program', (t) => {
  t.same(problemsOf(withRef({ field: undefined })), []);
  t.same(problemsOf({ ...GOOD, refs: undefined }), ['refs: is missing; write {} where there is nothing']);
  t.end();
});

// --- sections and names

t.test('what is no mapping of the three sections is refused', (t) => {
  const message = 'must be a mapping with the sections stores, refs, policies';
  t.same(problemsOf(null), [`is empty: it ${message}`]);
  for (const data of [undefined, 'text', 1, [], [GOOD]]) t.same(problemsOf(data), [message]);
  t.end();
});

t.test('all three sections are required mappings', (t) => {
  t.same(problemsOf({}), [
    'stores: is missing; write {} where there is nothing',
    'refs: is missing; write {} where there is nothing',
    'policies: is missing; write {} where there is nothing',
  ]);
  for (const section of ['stores', 'refs', 'policies'] as const) {
    for (const value of [null, [], 'text', 1]) {
      const rest = { stores: {}, refs: {}, policies: {}, [section]: value };
      t.same(problemsOf(rest), [`${section}: must be a mapping; write {} where there is nothing`]);
    }
  }
  t.end();
});

t.test('without stores or policies the refs are not blamed for naming some', (t) => {
  const { refs, policies, stores } = GOOD;
  t.same(problemsOf({ refs, policies }), ['stores: is missing; write {} where there is nothing']);
  t.same(problemsOf({ refs, stores }), ['policies: is missing; write {} where there is nothing']);
  t.end();
});

t.test('an inherited section is missing', (t) => {
  t.same(problemsOf(Object.create(GOOD)), problemsOf({}));
  t.end();
});

t.test('unknown sections are refused', (t) => {
  t.same(problemsOf({ ...GOOD, policy: {} }), ['policy: is an unknown key; known here: stores, refs, policies']);
  t.same(problemsOf({ ...GOOD, store: {} }), ['store: is an unknown key; did you mean "stores"?']);
  t.same(problemsOf({ ...GOOD, '<<': {} }), ['<<: is an unknown key: merge keys are not read; write the keys out']);
  t.end();
});

t.test('names are identifiers', (t) => {
  for (const name of ['Red', 'red-store', '1st', '', ' red', 'a/b', '__proto__', 'r\u00e9d', 'a'.repeat(129)]) {
    for (const section of ['stores', 'refs', 'policies'] as const) {
      const data = {
        ...GOOD,
        [section]: { ...GOOD[section], ...(JSON.parse(`{${JSON.stringify(name)}: 1}`) as object) },
      };
      const added = problemsOf({ ...data, [section]: Object.fromEntries(Object.entries(data[section])) });
      t.match(added.join('\n'), `is no name: it ${IDENTIFIER_RULE}`, `${section} ${name}`);
    }
  }
  t.end();
});

t.test('what has no proper name is looked into all the same, and is none that others may name', (t) => {
  const noName = `is no name: it ${IDENTIFIER_RULE}`;
  t.same(problemsOf({ ...GOOD, refs: { 'api key': null } }), [
    `refs."api key": ${noName}`,
    'refs."api key": is empty: it must be a mapping',
  ]);
  const data = {
    stores: { reD: { backend: 'gopass', root: '..' } },
    refs: { Api: { store: 'red', path: '/a', policy: 'open' } },
    policies: { opeN: { allowed_principals: ['a', 'a'] } },
  };
  t.same(problemsOf(data), [
    `stores.reD: ${noName}`,
    `refs.Api: ${noName}`,
    `policies.opeN: ${noName}`,
    `stores.reD.root: ${BAD_SEGMENT}`,
    'policies.opeN.allowed_principals[1]: is the same principal as [0]',
    'refs.Api.store: "red" is no store',
    'refs.Api.path: must be relative: it begins with "/"',
    'refs.Api.policy: "open" is no policy',
  ]);
  t.end();
});

// --- stores

t.test('a store is a mapping with a backend and a root', (t) => {
  const refs = {};
  const store = (red: unknown): string[] => problemsOf({ ...GOOD, stores: { red }, refs });
  t.same(store(null), ['stores.red: is empty: it must be a mapping']);
  for (const value of ['text', 1, []]) t.same(store(value), ['stores.red: must be a mapping']);
  t.same(store({}), [
    'stores.red.backend: is missing: where the values live',
    'stores.red.root: is missing: what every path of this store begins with',
  ]);
  t.end();
});

t.test('an unknown backend is told with the known ones', (t) => {
  const store = (backend: unknown): string[] => problemsOf(withStore({ backend, root: 'mxm' }));
  const known = `must be one of ${[...BACKENDS.keys()].join(', ')}`;
  t.same(store('gopas'), [`stores.red.backend: ${known}; did you mean "gopass"?`]);
  t.same(store('Env'), [`stores.red.backend: ${known}; did you mean "env"?`]);
  for (const backend of ['vault', 'constructor', '__proto__', '', 1, null, ['gopass']]) {
    t.match(store(backend), [new RegExp(`^stores\\.red\\.backend: (is empty: it )?${known}$`)]);
  }
  t.end();
});

t.test('with an unknown backend, what is wrong whatever the backend is told too', (t) => {
  const keys = [...BACKENDS.values()].flatMap(({ storeKeys }) => Object.keys(storeKeys));
  t.same(problemsOf(withStore({ backend: 'vault', root: ' ', binary: 1, colour: 'x' })), [
    `stores.red.colour: is an unknown key; known here: ${['backend', 'root', ...keys].join(', ')}`,
    `stores.red.backend: must be one of ${[...BACKENDS.keys()].join(', ')}`,
    'stores.red.root: must not be empty, have white space around it or hold a control character',
  ]);
  t.end();
});

t.test('a store takes the further keys of its own backend only', (t) => {
  t.same(problemsOf({ ...GOOD, stores: { ...GOOD.stores, local: { ...GOOD.stores.local, binary: '/x' } } }), [
    'stores.local.binary: is an unknown key; known here: backend, root',
  ]);
  t.same(problemsOf(withStore({ ...GOOD.stores.red, binnary: '/x' })), [
    'stores.red.binnary: is an unknown key; did you mean "binary"?',
  ]);
  t.end();
});

t.test('the binary of gopass is an absolute path', (t) => {
  t.match(problemsOf(withStore({ ...GOOD.stores.red, binary: 'gopass' })), [
    /^stores\.red\.binary: must be an absolute path/,
  ]);
  t.end();
});

const CLEAN_RULE = 'must not be empty, have white space around it or hold a control character';
const ENV_RULE = 'may hold only A-Z, a-z, 0-9, "_", "-" and "/", as it names a variable';

t.test('a root is clean text without empty, "." and ".." segments', (t) => {
  const root = (value: unknown): string[] => problemsOf(withStore({ backend: 'gopass', root: value }));
  for (const value of ['', ' ', ' mxm', 'mxm ', 'a\u0000b', 'a\nb'])
    t.same(root(value), [`stores.red.root: ${CLEAN_RULE}`]);
  for (const value of ['a//b', '.', '..', './a', '../a', 'a/./b', 'a/..', '/../a', 'a/../', '/', '///']) {
    t.same(root(value), [`stores.red.root: ${BAD_SEGMENT}`], value);
  }
  t.same(root('a\ud800'), ['stores.red.root: is not well-formed Unicode']);
  t.same(root(5), ['stores.red.root: must be a string, not a bare number: put it in quotes']);
  t.same(root('..a/b../...'), [], 'these are names like others');
  t.end();
});

t.test('the root of an env store names a variable', (t) => {
  const root = (value: string): string[] =>
    problemsOf({ ...GOOD, stores: { ...GOOD.stores, local: { backend: 'env', root: value } } });
  t.same(root('mxm/dev-2_x'), []);
  t.same(root('mxm.dev'), [`stores.local.root: ${ENV_RULE}`]);
  t.same(root('a//b c'), [`stores.local.root: ${BAD_SEGMENT}`, `stores.local.root: ${ENV_RULE}`]);
  t.end();
});

// --- refs

t.test('a ref is a mapping with a store, a path and a policy', (t) => {
  const ref = (api_key: unknown): string[] => problemsOf({ ...GOOD, refs: { api_key } });
  t.same(ref(null), ['refs.api_key: is empty: it must be a mapping']);
  t.same(ref('red/api_key'), ['refs.api_key: must be a mapping']);
  t.same(ref({}), [
    'refs.api_key.store: is missing: the name of a store',
    "refs.api_key.path: is missing: where the entry is, relative to the store's root",
    'refs.api_key.policy: is missing: the name of a policy',
  ]);
  t.same(problemsOf(withRef({ polcy: 'x' })), ['refs.api_key.polcy: is an unknown key; did you mean "policy"?']);
  t.end();
});

t.test('a path is clean, relative, and has no empty, "." and ".." segments', (t) => {
  const path = (value: unknown): string[] => problemsOf(withRef({ path: value }));
  for (const value of ['', ' ', ' a', 'a ', '\u00a0a', 'a\tb', 'a\u009fb']) {
    t.same(path(value), [`refs.api_key.path: ${CLEAN_RULE}`], JSON.stringify(value));
  }
  for (const value of ['/a', '/', '//a', '/../a']) {
    t.same(path(value), ['refs.api_key.path: must be relative: it begins with "/"'], value);
  }
  for (const value of ['a//b', 'a/', '.', '..', '../a', 'a/../b', 'a/.', './a']) {
    t.same(path(value), [`refs.api_key.path: ${BAD_SEGMENT}`], value);
  }
  t.same(path('a\udfff/b'), ['refs.api_key.path: is not well-formed Unicode']);
  t.same(path(['a']), ['refs.api_key.path: must be a string']);
  for (const value of ['-n', 'a b/c d', 'é/😀', '..a', 'a..', '...', '%2F', '~/a', '$HOME', 'a\\..\\b']) {
    t.same(path(value), [], value);
  }
  t.end();
});

t.test('the path of a ref in an env store names a variable', (t) => {
  const path = (value: string): string[] => problemsOf({ ...GOOD, refs: { dsn: { ...GOOD.refs.dsn, path: value } } });
  t.same(path('api-key/2'), []);
  t.same(path('api.key'), [`refs.dsn.path: ${ENV_RULE}`]);
  t.same(path('../é'), [`refs.dsn.path: ${BAD_SEGMENT}`, `refs.dsn.path: ${ENV_RULE}`]);
  t.end();
});

t.test('a field is clean text', (t) => {
  const field = (value: unknown): string[] => problemsOf(withRef({ field: value }));
  for (const value of ['password', 'api key', 'Ключ', ':']) t.same(field(value), [], value);
  for (const value of ['', ' a', 'a\n']) t.same(field(value), [`refs.api_key.field: ${CLEAN_RULE}`]);
  t.same(field('a\ud800'), ['refs.api_key.field: is not well-formed Unicode']);
  t.same(field(5), ['refs.api_key.field: must be a string, not a bare number: put it in quotes']);
  t.end();
});

t.test('a field is not for a store whose entries have none', (t) => {
  t.same(problemsOf({ ...GOOD, refs: { dsn: { ...GOOD.refs.dsn, field: 'password' } } }), [
    'refs.dsn.field: is not for a store of backend env: its entries have no fields',
  ]);
  t.end();
});

t.test('of very many names that are not there the first hundred have a hint', (t) => {
  const wrong = { ...GOOD.refs.api_key, store: 'rde', policy: 'marketdata_acess' };
  const refs = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`ref_${index}`, wrong]));
  const told = problemsOf({ ...GOOD, refs });
  t.equal(told.length, 200);
  t.equal(told.filter((line) => line.includes('did you mean')).length, 100);
  t.end();
});

t.test('a store or policy that a ref names must be there', (t) => {
  t.same(problemsOf(withRef({ store: 'rde', policy: 'marketdata_acess' })), [
    'refs.api_key.store: "rde" is no store; did you mean "red"?',
    'refs.api_key.policy: "marketdata_acess" is no policy; did you mean "marketdata_access"?',
  ]);
  t.same(problemsOf(withRef({ store: 'green', policy: 'other' })), [
    'refs.api_key.store: "green" is no store',
    'refs.api_key.policy: "other" is no policy',
  ]);
  t.same(problemsOf(withRef({ store: 'Red', policy: 1 })), [
    `refs.api_key.store: ${IDENTIFIER_RULE}`,
    'refs.api_key.policy: must be a string, not a bare number: put it in quotes',
  ]);
  t.end();
});

t.test('a store or policy with an error in it is there', (t) => {
  t.match(problemsOf(withStore({ backend: 'gopass' })), [/^stores\.red\.root: is missing/]);
  t.match(problemsOf(withPolicy({})), [/^policies\.marketdata_access\.allowed_principals: is missing/]);
  t.end();
});

t.test('every error of a ref is told at once, and so are those that depend on its store', (t) => {
  const data = {
    ...GOOD,
    stores: { local: { backend: 'env', root: '..' } },
    refs: {
      a: { store: 'local', path: '/a.b', field: 'x', colour: 'red' },
      b: { store: 'loca', path: '', policy: 'p' },
    },
  };
  t.same(problemsOf(data), [
    `stores.local.root: ${BAD_SEGMENT}`,
    `stores.local.root: ${ENV_RULE}`,
    'refs.a.policy: is missing: the name of a policy',
    'refs.a.colour: is an unknown key; known here: store, path, policy, field',
    'refs.a.path: must be relative: it begins with "/"',
    `refs.a.path: ${ENV_RULE}`,
    'refs.a.field: is not for a store of backend env: its entries have no fields',
    `refs.b.path: ${CLEAN_RULE}`,
    'refs.b.store: "loca" is no store; did you mean "local"?',
    'refs.b.policy: "p" is no policy',
  ]);
  t.end();
});

// --- policies

t.test('a policy is a mapping with a list of principals', (t) => {
  const at = 'policies.marketdata_access';
  t.same(problemsOf(withPolicy(null)), [`${at}: is empty: it must be a mapping`]);
  t.same(problemsOf(withPolicy(['marketdata'])), [`${at}: must be a mapping`]);
  t.same(problemsOf(withPolicy({})), [
    `${at}.allowed_principals: is missing: who may read; an empty list denies everybody`,
  ]);
  t.same(problemsOf(withPolicy({ allowed_principals: null })), [
    `${at}.allowed_principals: is empty: it must be a list`,
  ]);
  for (const value of ['marketdata', { marketdata: true }]) {
    t.same(problemsOf(withPolicy({ allowed_principals: value })), [`${at}.allowed_principals: must be a list`]);
  }
  t.same(problemsOf(withPolicy({ allowed_principal: [] })), [
    `${at}.allowed_principals: is missing: who may read; an empty list denies everybody`,
    `${at}.allowed_principal: is an unknown key; did you mean "allowed_principals"?`,
  ]);
  t.end();
});

t.test('principals are identifiers, each there once', (t) => {
  const at = 'policies.marketdata_access.allowed_principals';
  const principals = ['a', 'B', 'a', 'B', 1, null, 'b', 'a', '*'];
  t.same(problemsOf(withPolicy({ allowed_principals: principals })), [
    `${at}[1]: ${IDENTIFIER_RULE}`,
    `${at}[3]: ${IDENTIFIER_RULE}`,
    `${at}[4]: must be a string, not a bare number: put it in quotes`,
    `${at}[5]: is empty: it must be a string`,
    `${at}[8]: ${IDENTIFIER_RULE}; there are no patterns: each is named`,
    `${at}[2]: is the same principal as [0]`,
    `${at}[7]: is the same principal as [0]`,
  ]);
  t.end();
});

// --- paths of stores

const CREDENTIALS_NOT_SET =
  'begins with $CREDENTIALS_DIRECTORY, which is not set: add LoadCredential= to the unit, or write the path out';

const FOLDER_STORE = { backend: 'age', root: '../secrets//x/./', identity_file: 'key.txt' };

t.test('a root that is a directory may have any segments', (t) => {
  for (const root of ['.', '..', '/', '../x', 'a//b', './a/', '/run/secrets', '$CREDENTIALS_DIRECTORY']) {
    const { told, report } = collector();
    checkSecrets(withStore({ ...FOLDER_STORE, root }), '', report);
    t.same(told, [], root);
  }
  const { told, report } = collector();
  checkSecrets(withStore({ ...FOLDER_STORE, root: 'a\ud800' }), '', report);
  t.same(told, ['/stores/red/root: is not well-formed Unicode']);
  t.end();
});

t.test('a store knows the folder that its paths are relative to', (t) => {
  const { report } = collector();
  const registries = checkSecrets(withStore(FOLDER_STORE), '', report, { folder: '/etc/mxm' });
  t.same(registries?.stores.get('red'), {
    name: 'red',
    backend: 'age',
    root: '../secrets//x/./',
    folder: '/etc/mxm',
    options: { identity_file: 'key.txt' },
  });
  t.equal(checkSecrets(withStore(FOLDER_STORE), '', report)?.stores.get('red')?.folder, undefined);
  t.end();
});

t.test('a path that begins with $CREDENTIALS_DIRECTORY is an error where that is not set', (t) => {
  const store = {
    backend: 'age',
    root: '$CREDENTIALS_DIRECTORY/secrets',
    identity_file: '$CREDENTIALS_DIRECTORY/key',
  };
  const problemsIn = (environment?: Record<string, string>): string[] => {
    const { told, report } = collector();
    checkSecrets(withStore(store), '', report, { environment });
    return told;
  };
  const places = ['/stores/red/root', '/stores/red/identity_file'];
  t.same(
    problemsIn({}),
    places.map((place) => `${place}: ${CREDENTIALS_NOT_SET}`),
  );
  t.equal(problemsIn({ CREDENTIALS_DIRECTORY: 'not/absolute' }).length, places.length);
  t.same(problemsIn({ CREDENTIALS_DIRECTORY: '/run/credentials/unit' }), []);
  t.same(problemsIn(), [], 'without an environment that is left to the backend');
  const { told, report } = collector();
  checkSecrets(withStore({ ...store, root: '', extra: 1 }), '', report, { environment: {} });
  t.ok(told.includes(`/stores/red/identity_file: ${CREDENTIALS_NOT_SET}`), 'whatever else is wrong with the store');
  t.end();
});

t.test('in other keys and other roots $CREDENTIALS_DIRECTORY is a name like others', (t) => {
  const { told, report } = collector();
  for (const store of [
    { backend: 'gopass', root: '$CREDENTIALS_DIRECTORY' },
    { backend: 'pass', root: '.', gnupghome: '$CREDENTIALS_DIRECTORY' },
  ]) {
    checkSecrets(withStore(store), '', report, { environment: {} });
  }
  t.same(told, []);
  t.end();
});

// --- sections below a key, and registries of a program

t.test('sections below a key have their pointers and key paths there', (t) => {
  const base = `/${escapePointer('mxm/secrets')}`;
  const { told, report } = collector();
  t.equal(checkSecrets({ ...GOOD, refs: { 'A/B': 1 } }, base, report), undefined);
  t.same(told, [
    `/mxm~1secrets/refs/A~1B: is no name: it ${IDENTIFIER_RULE}`,
    '/mxm~1secrets/refs/A~1B: must be a mapping',
  ]);
  t.equal(secretsPath({}, '/x/refs/a/path/canary', '/x'), 'x.refs.a.path');
  t.equal(secretsPath({}, '/refs/a/path/canary'), 'refs.a.path');
  t.ok(registriesOf(GOOD, base).refs.has('api_key'));
  t.end();
});

t.test('registries that a program has built are held to the same rules', (t) => {
  const registries: Registries = {
    stores: new Registry([
      { name: 'red', backend: 'gopass', root: '../x', options: { binary: 'gopass', backend: 'env' } },
      { name: 'Bad', backend: 'env', root: 'x', options: {} },
    ]),
    refs: new Registry([{ name: '__proto__', store: 'red', path: 'a', policy: 'p' }]),
    policies: new Registry([{ name: 'p', allowedPrincipals: ['A'] }]),
  };
  const { told, report } = collector();
  checkRegistries(registries, report);
  t.same(told, [
    `stores.Bad: is no name: it ${IDENTIFIER_RULE}`,
    `refs.__proto__: is no name: it ${IDENTIFIER_RULE}`,
    'stores.red.binary: must be an absolute path, without white space around it and without control characters',
    `stores.red.root: ${BAD_SEGMENT}`,
    `policies.p.allowed_principals[0]: ${IDENTIFIER_RULE}`,
  ]);
  t.end();
});

t.test('good registries are accepted, with a field and without', (t) => {
  const registries: Registries = {
    stores: new Registry([{ name: 'red', backend: 'gopass', root: 'x', options: {} }]),
    refs: new Registry([
      { name: 'a', store: 'red', path: 'a', policy: 'p' },
      { name: 'b', store: 'red', path: 'a', policy: 'p', field: 'x' },
    ]),
    policies: new Registry([{ name: 'p', allowedPrincipals: [] }]),
  };
  const { told, report } = collector();
  checkRegistries(registries, report);
  checkRegistries(registriesOf(GOOD), report);
  t.same(told, []);
  t.end();
});

// --- for all

const identifier = fc.stringMatching(/^[a-z][a-z0-9_]{0,15}$/);
const plainSegment = fc.stringMatching(/^[A-Za-z0-9_-]{1,10}$/);
const anySegment = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 10 })
  .filter((text) => !/[/\p{Cc}]/u.test(text) && text !== '.' && text !== '..');
const slashes = fc.constantFrom('', '/', '//');

function pathOf(segment: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .array(segment, { minLength: 1, maxLength: 4 })
    .map((segments) => segments.join('/'))
    .filter((path) => path.trim() === path);
}

function rootOf(segment: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(slashes, pathOf(segment), slashes)
    .map((parts) => parts.join(''))
    .filter((root) => root.trim() === root);
}

const storeAndRefs = fc
  .constantFrom<[string, fc.Arbitrary<string>][]>(['gopass', anySegment], ['env', plainSegment])
  .chain(([backend, segment]) =>
    fc.record({
      store: fc.record({ backend: fc.constant(backend), root: rootOf(segment) }),
      paths: fc.array(pathOf(segment), { maxLength: 4 }),
    }),
  );

const goodData = fc
  .record({
    stores: fc.dictionary(identifier, storeAndRefs, { minKeys: 1, maxKeys: 4 }),
    policies: fc.dictionary(
      identifier,
      fc.record({ allowed_principals: fc.uniqueArray(identifier, { maxLength: 4 }) }),
      { minKeys: 1, maxKeys: 4 },
    ),
  })
  .map(({ stores, policies }) => {
    const policyNames = Object.keys(policies);
    const refs = Object.entries(stores).flatMap(([store, { paths }]) =>
      paths.map((path, at) => ({ store, path, policy: policyNames[at % policyNames.length] as string })),
    );
    return {
      stores: Object.fromEntries(Object.entries(stores).map(([name, { store }]) => [name, store])),
      refs: Object.fromEntries(refs.map((ref, at) => [`ref_${at}`, ref])),
      policies,
    };
  });

t.test('for all good data: it is accepted, and a location is the root without trailing slashes, "/", the path', (t) => {
  fc.assert(
    fc.property(goodData, (data) => {
      t.same(problemsOf(data), []);
      const { stores, refs, policies } = registriesOf(data);
      t.same(refs.names().length, Object.keys(data.refs).length);
      for (const [name, { store, path, policy }] of Object.entries(data.refs)) {
        for (const principal of data.policies[policy]?.allowed_principals ?? []) {
          const decision = authorize(name, principal, refs, policies);
          if (decision.decision !== 'allowed') return false;
          let root = data.stores[store]?.root as string;
          while (root.endsWith('/')) root = root.slice(0, -1);
          if (resolve(decision, stores).location !== `${root}/${path}`) return false;
        }
      }
      return true;
    }),
  );
  t.end();
});

const CANARY = 'CaNaRy';
const oddPart = fc.oneof(
  fc.constantFrom('', '/', '..', '/../', ' ', '\u0000', '\ud800', '.', '"', '{', 'é', 'a', '\u009b31m', ': ', '%2F'),
  fc.string({ unit: 'binary', maxLength: 6 }),
);
const oddText = fc.tuple(oddPart, oddPart).map(([before, after]) => before + CANARY + after);
const oddValue = fc.oneof(
  oddText,
  oddText.map((text) => [text]),
  oddText.map((text) => ({ [text]: text })),
  oddText.map((text) => ({ [CANARY]: { [text]: [text] } })),
);

t.test('for all roots and paths, however odd: no message quotes them', (t) => {
  const data = fc.record({
    stores: fc.record({
      red: fc.record({ backend: fc.constantFrom('gopass', 'env', 'nothing', 3), root: oddValue }),
      blue: fc.record({ backend: fc.constantFrom('gopass', 'env'), root: oddValue, colour: fc.constant(1) }),
    }),
    refs: fc.record({
      a: fc.record({ store: fc.constantFrom('red', 'rde', 'blue'), path: oddValue, policy: fc.constantFrom('p', 'q') }),
      b: fc.record({ path: oddValue, field: fc.constantFrom('x', ' ') }),
    }),
    policies: fc.constant({ p: { allowed_principals: ['a', 'a'] } }),
  });
  fc.assert(
    fc.property(data, (given) => {
      const error = configError(() => SecretsApi.fromConfigData(given));
      return error !== undefined && !quotes(error);
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('for all roots and paths as they may stand in a file, quoted or not: no message quotes them', (t) => {
  // A comma or a line ending would end the value: what follows would be none of it.
  const line = oddText.map((text) => text.replace(/[\r\n\u0085,]/g, ' '));
  const written = fc.oneof(
    line,
    line.map((text) => JSON.stringify(text)),
    line.map((text) => `'${text}'`),
    line.map((text) => `{${text}}`),
    line.map((text) => `[${text}]`),
    line.map((text) => `{${CANARY}: 1, ${CANARY}: 2, ? [x] : ${text}}`),
    line.map((text) => `*${text}`),
    line.map((text) => `&${text}`),
    line.map((text) => `!${text}`),
    line.map((text) => `|${text}\n      ${text}`),
  );
  const separator = fc.constantFrom(': ', ':', ' : ', ':  ');
  const layouts = fc.constantFrom(
    (key: string, colon: string, value: string) => `    ${key}${colon}${value}\n`,
    (key: string, colon: string, value: string) => `    ${key}${colon}\n      ${value}\n`,
  );
  fc.assert(
    fc.property(written, separator, layouts, fc.boolean(), (value, colon, layout, inBraces) => {
      const secrets = inBraces
        ? `stores:\n  red: {backend: x, root${colon}${value}}\nrefs:\n  a: {store: red, path${colon}${value}, policy: p}\npolicies: {}\n`
        : `stores:\n  red:\n    backend: x\n${layout('root', colon, value)}refs:\n  a:\n${layout('path', colon, value)}    store: red\npolicies: {}\n`;
      const lines = complaints(t, { secrets });
      return lines.length > 0 && !lines.join('\n').includes(CANARY);
    }),
    { numRuns: 500 },
  );
  t.end();
});

function quotes(error: Error & { problems: unknown }): boolean {
  return `${error.message}${error.stack ?? ''}${JSON.stringify(error.problems)}`.includes(CANARY);
}
