import fc from 'fast-check';
import t from 'tap';
import { displayPath } from '../../src/config/display_path.js';
import { escapePointer } from '../../src/config/pointer.js';

t.test('a key path is shown with dots, list items as [1]', (t) => {
  const data = { policies: { p: { allowed_principals: ['a', 'b'] } } };
  t.equal(displayPath(data, '/policies/p/allowed_principals/1'), 'policies.p.allowed_principals[1]');
  t.equal(displayPath(data, '/policies/p/missing'), 'policies.p.missing');
  t.equal(displayPath(['a'], '/0'), '[0]');
  t.equal(displayPath([[1]], '/0/0'), '[0][0]');
  t.equal(displayPath({ '0': 'a' }, '/0'), '0');
  t.equal(displayPath(['a'], '/section'), 'section');
  t.equal(displayPath(data, ''), '');
  t.end();
});

t.test('below what is not there, keys are just keys', (t) => {
  t.equal(displayPath(undefined, '/identity/role'), 'identity.role');
  t.equal(displayPath({ identity: null }, '/identity/role/1'), 'identity.role.1');
  t.end();
});

t.test('names that mean something to JavaScript are shown like others', (t) => {
  t.equal(displayPath({}, '/constructor/__proto__/0'), 'constructor.__proto__.0');
  t.end();
});

t.test('keys of other shapes are shown in quotes', (t) => {
  for (const [key, shown] of [
    ['a.b', '"a.b"'],
    ['a b', '"a b"'],
    ['', '""'],
    ['mxm/red', '"mxm/red"'],
    ['"', '"\\""'],
    ['a\nb', '"a\\nb"'],
    ['<<', '<<'],
    ['a-b', 'a-b'],
  ] as const) {
    t.equal(displayPath({}, `/refs/${escapePointer(key)}`), `refs.${shown}`);
  }
  t.end();
});

t.test('a long key is cut', (t) => {
  t.equal(displayPath({}, `/${'a'.repeat(128)}`), 'a'.repeat(128));
  t.equal(displayPath({}, `/${'a'.repeat(129)}`), `"${'a'.repeat(64)}…"`);
  t.end();
});

t.test('no key path ends the line or acts upon the terminal', (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (keys) => {
      const shown = displayPath({}, keys.map((key) => `/${escapePointer(key)}`).join(''));
      t.notMatch(shown, /[\p{C}\p{Zl}\p{Zp}]/u);
    }),
  );
  t.end();
});

t.test("where the keys are a ref's or a store's own, an odd one is not shown: it may be a path", (t) => {
  t.equal(displayPath({}, '/refs/a/path:mxm~1red', 2), 'refs.a."…"');
  t.equal(displayPath({}, '/refs/a/colour', 2), 'refs.a.colour');
  t.equal(displayPath({}, '/refs/a b/store', 2), 'refs."a b".store');
  t.equal(displayPath({}, '/mxm.secrets/refs/a/mxm~1red', 3), '"mxm.secrets".refs.a."…"');
  t.end();
});

t.test('what stands below a path or a root is not shown', (t) => {
  t.equal(displayPath({}, '/refs/a/path/canary', 2), 'refs.a.path');
  t.equal(displayPath({}, '/stores/a/root/canary/more', 2), 'stores.a.root');
  t.equal(displayPath({}, '/refs/path/store', 2), 'refs.path.store');
  t.equal(displayPath({}, '/refs/root/path', 2), 'refs.root.path');
  t.end();
});
