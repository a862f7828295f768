import t from 'tap';
import { ConfigError, Registry, SecretsApi, SecretsError } from '../src/index.js';
import * as library from '../src/index.js';

t.test('the library is what its documentation names, and no more', async (t) => {
  t.same(Object.keys(library).sort(), ['ConfigError', 'Registry', 'SecretsApi', 'SecretsError']);
  t.throws(() => SecretsApi.fromConfigData({ stores: {}, refs: [], policies: {} }), ConfigError);
  const api = new SecretsApi({ stores: new Registry([]), refs: new Registry([]), policies: new Registry([]) });
  const identity = { machine: 'm', environment: 'e', role: 'r' };
  await t.rejects(api.getSecret('absent', { identity }), new SecretsError('unknown_secret'));
});
