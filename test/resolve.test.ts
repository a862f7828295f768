import t from 'tap';
import { Registry } from '../src/domain/registry.js';
import type { SecretRef, SecretStore } from '../src/domain/secrets.js';
import { joinLocation, resolve } from '../src/resolve.js';

const ref: SecretRef = { name: 'api_key', store: 'red', path: 'a/b', policy: 'p' };

t.test('a location is the root without its trailing slashes, a slash, and the path', (t) => {
  for (const [root, location] of [
    ['mxm/red', 'mxm/red/a/b'],
    ['mxm/red/', 'mxm/red/a/b'],
    ['mxm/red///', 'mxm/red/a/b'],
    ['/mxm', '/mxm/a/b'],
  ] as const) {
    t.equal(joinLocation(root, ref.path), location);
  }
  t.end();
});

t.test('an allowed decision resolves to its store and location', (t) => {
  const store: SecretStore = { name: 'red', backend: 'env', root: 'mxm/red', options: {} };
  t.same(resolve({ decision: 'allowed', ref }, new Registry([store])), { ref, store, location: 'mxm/red/a/b' });
  t.end();
});

t.test('a ref without its store is a defect', (t) => {
  t.throws(() => resolve({ decision: 'allowed', ref }, new Registry<SecretStore>([])), RangeError);
  t.end();
});
