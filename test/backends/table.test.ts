import t from 'tap';
import { failure } from '../../src/backends/backend.js';
import { BACKENDS } from '../../src/backends/table.js';

t.test('opening a store starts nothing and never fails, whatever the environment lacks', (t) => {
  for (const [name, kind] of BACKENDS) {
    const store = { name: 'red', backend: name, root: 'mxm/red', options: {} };
    t.doesNotThrow(() => kind.open(store, { environment: {} }), name);
  }
  t.end();
});

t.test('a failure is plain data: it has no stack and no cause to carry anything', (t) => {
  t.same(failure('backend_failed', 'decrypt_failed'), { ok: false, code: 'backend_failed', reason: 'decrypt_failed' });
  t.end();
});
