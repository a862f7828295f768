import fc from 'fast-check';
import t from 'tap';
import { childOf, escapePointer, isMapping, splitPointer } from '../../src/config/pointer.js';

t.test('keys go into a pointer and come out of it unchanged', (t) => {
  const key = fc.string({
    unit: fc.oneof(fc.constantFrom('/', '~', '0', '1'), fc.string({ minLength: 1, maxLength: 1 })),
  });
  fc.assert(
    fc.property(fc.array(key), (keys) => {
      t.same(splitPointer(keys.map((part) => `/${escapePointer(part)}`).join('')), keys);
    }),
  );
  t.end();
});

t.test('a child is an own key of a mapping or an item of a list', (t) => {
  t.equal(childOf({ a: 1 }, 'a'), 1);
  t.equal(childOf(['x', 'y'], '1'), 'y');
  for (const [value, key] of [
    [{ a: 1 }, 'b'],
    [{}, 'constructor'],
    [{}, '__proto__'],
    [['x'], '1'],
    [null, 'a'],
    [undefined, 'a'],
    ['text', 'length'],
  ] as const) {
    t.equal(childOf(value, key), undefined, key);
  }
  t.end();
});

t.test('a mapping is an object that is no list', (t) => {
  t.ok(isMapping({}));
  t.ok(isMapping(Object.create(null)));
  for (const value of [[], null, undefined, 'text', 1]) t.notOk(isMapping(value));
  t.end();
});
