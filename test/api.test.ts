import { join } from 'node:path';
import t from 'tap';
import { ConfigError, Registry, SecretsApi, SecretsError } from '../src/index.js';
import type { RuntimeIdentity, SecretPolicy, SecretRef, SecretStore } from '../src/index.js';

const identity: RuntimeIdentity = { machine: 'bridge', environment: 'dev', role: 'marketdata' };

const DATA = {
  stores: {
    local: { backend: 'env', root: 'mxm/dev' },
    gone: { backend: 'gopass', root: 'x', binary: '/nonexistent' },
  },
  refs: {
    api_key: { store: 'local', path: 'api-key', policy: 'access' },
    absent: { store: 'local', path: 'absent', policy: 'access' },
    remote: { store: 'gone', path: 'remote', policy: 'access' },
    other: { store: 'local', path: 'other', policy: 'others' },
  },
  policies: { access: { allowed_principals: ['marketdata'] }, others: { allowed_principals: ['research'] } },
};

const environment = { MXM_DEV_API_KEY: 'grün\n', MXM_DEV_OTHER: 'secret' };

const REF: SecretRef = { name: 'api_key', ...DATA.refs.api_key };

function api(): SecretsApi {
  return SecretsApi.fromConfigData(DATA, { environment });
}

t.test('an allowed secret comes as text or as bytes of its own', async (t) => {
  t.equal(await api().getSecret('api_key', { identity }), 'grün');
  const bytes = await api().getSecretBytes('api_key', { identity });
  t.same(bytes, Buffer.from('grün'));
  bytes.fill(0);
  t.equal(await api().getSecret('api_key', { identity }), 'grün');
});

t.test('every refusal is a SecretsError with its code, of both calls alike', async (t) => {
  const cases = [
    ['api_key', { identity: { ...identity, role: 'execution' } }, 'access_denied'],
    ['other', { identity }, 'access_denied'],
    ['nope', { identity }, 'unknown_secret'],
    ['__proto__', { identity }, 'invalid_secret_name'],
    ['constructor', { identity }, 'unknown_secret'],
    ['Api_Key', { identity }, 'invalid_secret_name'],
    ['api_key', { identity: { ...identity, role: 'Market Data' } }, 'invalid_request'],
    ['Api_Key', { identity: { ...identity, role: 'Market Data' } }, 'invalid_request'],
    ['absent', { identity }, 'secret_not_found'],
    ['remote', { identity }, 'backend_unavailable'],
  ] as const;
  for (const [name, options, code] of cases) {
    await t.rejects(api().getSecret(name, options), { name: 'SecretsError', code }, `${name} as text`);
    await t.rejects(api().getSecretBytes(name, options), { name: 'SecretsError', code }, `${name} as bytes`);
  }
});

t.test('an identity or a signal that is none, as JavaScript may bring it, is told as that', async (t) => {
  type Options = Parameters<SecretsApi['getSecret']>[1];
  const noMapping = 'identity must be a mapping';
  for (const [options, wrong] of [
    [undefined, noMapping],
    [null, noMapping],
    [{}, noMapping],
    [{ identity: 'marketdata' }, noMapping],
    [{ identity: { ...identity, rol: 'x' } }, 'identity.rol is an unknown key; did you mean "role"?'],
    [{ identity, signal: null }, 'signal must be an AbortSignal'],
    [{ identity: null, signal: {} }, 'identity is empty: it must be a mapping; signal must be an AbortSignal'],
  ] as const) {
    for (const call of ['getSecret', 'getSecretBytes'] as const) {
      const message = `invalid_request: ${wrong}`;
      await t.rejects(api()[call]('api_key', options as Options), { name: 'SecretsError', message }, message);
    }
  }
});

t.test('limits that are none are told with what else is wrong', (t) => {
  const data = { stores: {}, refs: {}, policies: {} };
  t.throws(() => SecretsApi.fromConfigData(data, { limits: { queue: -1, backendTimeoutMs: NaN } }), {
    name: 'ConfigError',
    problems: [{ path: 'limits.queue' }, { path: 'limits.backendTimeoutMs' }],
  });
  t.end();
});

t.test("a default stands in for a missing entry and for a backend's failure", async (t) => {
  t.equal(await api().getSecret('absent', { identity, default: 'fallback' }), 'fallback');
  t.equal(await api().getSecret('remote', { identity, default: null }), null);
  t.equal(await api().getSecretBytes('remote', { identity, default: undefined }), undefined);
  t.equal(await api().getSecret('api_key', { identity, default: 'fallback' }), 'grün', 'and for nothing else');
});

t.test('a default never stands in for a denied, unknown or invalid name', async (t) => {
  for (const [name, code] of [
    ['other', 'access_denied'],
    ['nope', 'unknown_secret'],
    ['..', 'invalid_secret_name'],
  ] as const) {
    await t.rejects(api().getSecret(name, { identity, default: 'fallback' }), { code });
  }
});

t.test('a default does not stand in for a full queue', async (t) => {
  const gate = {
    enter: () => Promise.resolve('full' as const),
    tryEnter: () => false,
    leave: () => undefined,
    admit: () => undefined,
    running: 1,
    waiting: 0,
  };
  const full = SecretsApi.fromConfigData(DATA, { environment, gate });
  await t.rejects(full.getSecret('api_key', { identity, default: 'fallback' }), {
    code: 'overloaded',
    retryable: true,
  });
});

t.test('a value that is not UTF-8 is given as bytes and never as text', async (t) => {
  const bytes = api();
  bytes.retrieve = () => Promise.resolve({ value: Buffer.of(0xff), release: () => undefined });
  await t.rejects(bytes.getSecret('api_key', { identity }), { code: 'not_acceptable' });
  t.same(await bytes.getSecretBytes('api_key', { identity }), Buffer.of(0xff));
});

t.test('a caller may stop waiting', async (t) => {
  await t.rejects(api().getSecret('api_key', { identity, signal: AbortSignal.abort(new Error('left')) }), /left/);
});

t.test('the readable names of an identity are sorted', (t) => {
  t.same(api().names(identity), ['absent', 'api_key', 'remote']);
  t.same(api().names({ ...identity, role: 'nobody' }), []);
  t.end();
});

t.test('ready is: every store is', async (t) => {
  t.equal(await api().checkReady(), false);
  const { local } = DATA.stores;
  const { api_key } = DATA.refs;
  t.equal(await SecretsApi.fromConfigData({ ...DATA, stores: { local }, refs: { api_key } }).checkReady(), true);
});

t.test('the environment of the process is the default', async (t) => {
  process.env['MXM_DEV_API_KEY'] = 'from the process';
  t.teardown(() => delete process.env['MXM_DEV_API_KEY']);
  t.equal(await SecretsApi.fromConfigData(DATA).getSecret('api_key', { identity }), 'from the process');
});

t.test('configuration data in error throws one ConfigError with every problem', (t) => {
  const broken = { ...DATA, refs: { api_key: { store: 'locl', path: '/abs', policy: 'acess' } }, policies: {} };
  t.throws(() => SecretsApi.fromConfigData(broken), {
    name: 'ConfigError',
    problems: [
      { path: 'refs.api_key.store', message: '"locl" is no store; did you mean "local"?' },
      { path: 'refs.api_key.path', message: 'must be relative: it begins with "/"' },
      { path: 'refs.api_key.policy', message: '"acess" is no policy' },
    ],
  });
  t.end();
});

t.test('relative paths of a program are relative to the folder that it names, or to the working directory', (t) => {
  t.equal(SecretsApi.fromConfigData(DATA, { folder: '/etc/mxm' }).storeOf(REF)?.folder, '/etc/mxm');
  t.equal(SecretsApi.fromConfigData(DATA, { folder: 'config' }).storeOf(REF)?.folder, join(process.cwd(), 'config'));
  t.equal(SecretsApi.fromConfigData(DATA).storeOf(REF)?.folder, undefined, 'which the backend takes');
  t.end();
});

t.test('an API is built from registries, under the same rules', async (t) => {
  const stores = new Registry<SecretStore>([{ name: 'local', backend: 'env', root: 'mxm/dev', options: {} }]);
  const policies = new Registry<SecretPolicy>([{ name: 'access', allowedPrincipals: ['marketdata'] }]);
  const refs = new Registry<SecretRef>([{ name: 'api_key', store: 'local', path: 'api-key', policy: 'access' }]);
  const built = new SecretsApi({ stores, refs, policies }, { environment });
  t.equal(await built.getSecret('api_key', { identity }), 'grün');

  const escaping = new Registry<SecretRef>([{ name: 'api_key', store: 'local', path: '../x', policy: 'missing' }]);
  t.throws(() => new SecretsApi({ stores, refs: escaping, policies }), ConfigError);
});

t.test('an error says whether it is worth another try', (t) => {
  t.equal(new SecretsError('overloaded').retryable, true);
  t.equal(new SecretsError('access_denied').retryable, false);
  t.end();
});
