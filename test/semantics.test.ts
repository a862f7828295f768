/**
 * The documented examples and rules of the Python package `mxm-secrets` as a table of cases: whoever moves from there
 * finds the same configuration accepted, the same decisions, the same locations and values. Where the daemon is
 * stricter, the case says so.
 */
import t from 'tap';
import { ConfigError, SecretsApi } from '../src/index.js';
import { resolve } from '../src/resolve.js';
import { Registry } from '../src/domain/registry.js';

const EXAMPLE = {
  stores: { red: { backend: 'gopass', root: 'mxm/red' } },
  refs: { databento_api_key: { store: 'red', path: 'marketdata/databento/api_key', policy: 'marketdata_access' } },
  policies: { marketdata_access: { allowed_principals: ['marketdata', 'research'] } },
};

const identityOf = (role: string) => ({ machine: 'bridge', environment: 'dev', role });

function withStore(store: object): unknown {
  return { ...EXAMPLE, stores: { red: store } };
}
function withRef(ref: object, name = 'databento_api_key'): unknown {
  return { ...EXAMPLE, refs: { [name]: { ...EXAMPLE.refs.databento_api_key, ...ref } } };
}
function withPolicy(policy: object): unknown {
  return { ...EXAMPLE, policies: { marketdata_access: policy } };
}

type Data = Parameters<typeof SecretsApi.fromConfigData>[0];

t.test('configuration: accepted', (t) => {
  const cases: [string, unknown][] = [
    ['the example of its documentation', EXAMPLE],
    ['nothing configured', { stores: {}, refs: {}, policies: {} }],
    ['a policy that denies everybody', withPolicy({ allowed_principals: [] })],
    ['a root with a trailing slash', withStore({ backend: 'gopass', root: 'mxm/red/' })],
    ['a path with dashes and spaces inside', withRef({ path: 'vendor/api key-2' })],
    ...['marketdata', 'prefect_worker', 'marketdata_v2', 'a', 'a1'].map((name): [string, unknown] => [
      `the name ${name}`,
      withRef({}, name),
    ]),
  ];
  for (const [what, data] of cases) t.doesNotThrow(() => SecretsApi.fromConfigData(data as Data), what);
  t.end();
});

t.test('configuration: refused', (t) => {
  const { stores, refs, policies } = EXAMPLE;
  const cases: [string, unknown, string][] = [
    ['no stores', { refs, policies }, 'stores: is missing'],
    ['no refs', { stores, policies }, 'refs: is missing'],
    ['no policies', { stores, refs }, 'policies: is missing'],
    ['stores that are no mapping', { ...EXAMPLE, stores: [] }, 'stores: must be a mapping'],
    ['refs that are no mapping', { ...EXAMPLE, refs: 'x' }, 'refs: must be a mapping'],
    ['policies that are no mapping', { ...EXAMPLE, policies: null }, 'policies: must be a mapping'],
    ['a store that is no mapping', withStore([]), 'stores.red: must be a mapping'],
    ['a store without backend', withStore({ root: 'r' }), 'stores.red.backend: is missing'],
    ['a store without root', withStore({ backend: 'gopass' }), 'stores.red.root: is missing'],
    ['a root that is no string', withStore({ backend: 'gopass', root: 1 }), 'stores.red.root: must be a string'],
    ['a root with white space around', withStore({ backend: 'gopass', root: ' mxm/red ' }), 'stores.red.root: '],
    ['an empty root', withStore({ backend: 'gopass', root: '' }), 'stores.red.root: '],
    ['a root of white space', withStore({ backend: 'gopass', root: '   ' }), 'stores.red.root: '],
    ['a backend of another case', withStore({ backend: 'GoPass', root: 'r' }), 'stores.red.backend: '],
    [
      'an unknown backend (there: when a secret is asked for)',
      withStore({ backend: 'vault', root: 'r' }),
      'stores.red.backend: ',
    ],
    ['a ref that is no mapping', { ...EXAMPLE, refs: { api_key: 'x' } }, 'refs.api_key: must be a mapping'],
    [
      'a ref without path',
      { ...EXAMPLE, refs: { k: { store: 'red', policy: 'marketdata_access' } } },
      'refs.k.path: is missing',
    ],
    ['a path that is no string', withRef({ path: 7 }), 'refs.databento_api_key.path: must be a string'],
    ['an empty path', withRef({ path: '' }), 'refs.databento_api_key.path: '],
    ['a path with white space around', withRef({ path: ' opaque/path ' }), 'refs.databento_api_key.path: '],
    ['an absolute path', withRef({ path: '/opaque/path' }), 'refs.databento_api_key.path: must be relative'],
    [
      'an unknown store (there: when a secret is asked for)',
      withRef({ store: 'missing' }),
      'refs.databento_api_key.store: "missing" is no store',
    ],
    [
      'an unknown policy (there: when a secret is asked for)',
      withRef({ policy: 'missing' }),
      'refs.databento_api_key.policy: "missing" is no policy',
    ],
    ['a policy without list', withPolicy({}), 'policies.marketdata_access.allowed_principals: is missing'],
    [
      'principals as one string',
      withPolicy({ allowed_principals: 'marketdata' }),
      'policies.marketdata_access.allowed_principals: must be a list',
    ],
    [
      'a principal that is no string',
      withPolicy({ allowed_principals: [1] }),
      'policies.marketdata_access.allowed_principals[0]: ',
    ],
    [
      'a duplicate principal',
      withPolicy({ allowed_principals: ['a', 'a'] }),
      'policies.marketdata_access.allowed_principals[1]: ',
    ],
    ...[
      '',
      '   ',
      ' marketdata',
      'marketdata ',
      'MarketData',
      'market-data',
      'market data',
      'marketdata!',
      '-marketdata',
      '1marketdata',
    ].flatMap((name): [string, unknown, string][] => [
      [`the name ${JSON.stringify(name)}`, withRef({}, name), 'refs.'],
      [`the principal ${JSON.stringify(name)}`, withPolicy({ allowed_principals: [name] }), 'allowed_principals[0]: '],
    ]),
    // Stricter than there.
    ['a path that climbs', withRef({ path: '../other' }), 'refs.databento_api_key.path: '],
    ['a path with an empty segment', withRef({ path: 'a//b' }), 'refs.databento_api_key.path: '],
    ['an unknown key', withRef({ owner: 'x' }), 'refs.databento_api_key.owner: is an unknown key'],
  ];
  for (const [what, data, message] of cases) {
    try {
      SecretsApi.fromConfigData(data as Data);
      t.fail(what);
    } catch (error) {
      t.type(error, ConfigError, what);
      t.match((error as ConfigError).message, new RegExp(escapeRegExp(message)), what);
    }
  }
  t.end();
});

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

t.test('identity and name → decision', (t) => {
  const api = SecretsApi.fromConfigData(EXAMPLE);
  const cases = [
    ['marketdata', 'databento_api_key', 'allowed'],
    ['research', 'databento_api_key', 'allowed'],
    ['execution', 'databento_api_key', 'denied'],
    ['human_admin', 'databento_api_key', 'denied'],
    ['marketdata', 'missing_secret', 'unknown'],
    ['execution', 'missing_secret', 'unknown'],
  ] as const;
  for (const [role, name, decision] of cases)
    t.equal(api.decide(name, identityOf(role)).decision, decision, `${role} ${name}`);
  t.throws(
    () => api.decide('databento_api_key', identityOf('market-data')),
    { code: 'invalid_request' },
    'a role that is no identifier',
  );
  t.end();
});

t.test('ref and store → location', (t) => {
  const cases = [
    ['mxm/red', 'opaque/path', 'mxm/red/opaque/path'],
    ['mxm/red/', 'opaque/path', 'mxm/red/opaque/path'],
    ['mxm/red', 'vendor/api-key', 'mxm/red/vendor/api-key'],
    ['mxm/red', 'marketdata/databento/api_key', 'mxm/red/marketdata/databento/api_key'],
  ] as const;
  for (const [root, path, location] of cases) {
    const ref = { name: 'a', store: 'red', path, policy: 'p' };
    const stores = new Registry([{ name: 'red', backend: 'gopass', root, options: {} }]);
    t.equal(resolve({ decision: 'allowed', ref }, stores).location, location);
  }
  t.end();
});

t.test('entry → value: trailing line endings are removed (there: all white space around)', async (t) => {
  const cases = [
    ['plain', 'plain'],
    ['plain\n', 'plain'],
    ['plain\r\n\n', 'plain'],
    ['two\nlines\n', 'two\nlines'],
    [' spaces stay ', ' spaces stay '],
  ] as const;
  for (const [entry, value] of cases) {
    const api = SecretsApi.fromConfigData(
      { ...(withRef({ path: 'key' }) as Data), stores: { red: { backend: 'env', root: 'mxm' } } },
      { environment: { MXM_KEY: entry } },
    );
    t.equal(await api.getSecret('databento_api_key', { identity: identityOf('marketdata') }), value);
  }
});

t.test('a default for a backend that cannot answer, and for nothing else', async (t) => {
  const unavailable = SecretsApi.fromConfigData(
    withStore({ backend: 'gopass', root: 'mxm/red', binary: '/nonexistent' }) as Data,
  );
  const ask = (name: string, role: string) =>
    unavailable.getSecret(name, { identity: identityOf(role), default: 'fallback' });
  t.equal(await ask('databento_api_key', 'marketdata'), 'fallback');
  await t.rejects(ask('databento_api_key', 'execution'), { code: 'access_denied' });
  await t.rejects(ask('missing_secret', 'marketdata'), { code: 'unknown_secret' });
  t.equal(await unavailable.checkReady(), false);
});
