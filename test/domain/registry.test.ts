import fc from 'fast-check';
import t from 'tap';
import { Registry } from '../../src/domain/registry.js';

t.test('an item is found by its name', (t) => {
  const red = { name: 'red' };
  const registry = new Registry([red, { name: 'blue' }]);
  t.equal(registry.get('red'), red);
  t.ok(registry.has('red'));
  t.end();
});

t.test('a name that no item has is not found, whatever it means to JavaScript', (t) => {
  const registry = new Registry([{ name: 'red' }]);
  for (const name of ['green', '', 'constructor', '__proto__', 'toString', 'hasOwnProperty']) {
    t.equal(registry.get(name), undefined, name);
    t.notOk(registry.has(name), name);
  }
  t.end();
});

t.test('items may be named constructor and __proto__', (t) => {
  const registry = new Registry([
    { name: 'constructor', value: 1 },
    { name: '__proto__', value: 2 },
  ]);
  t.match(registry.get('constructor'), { value: 1 });
  t.match(registry.get('__proto__'), { value: 2 });
  t.end();
});

t.test('two items of one name are a mistake of the caller', (t) => {
  t.throws(() => new Registry([{ name: 'red' }, { name: 'red' }]), {
    name: 'RangeError',
    message: 'two items of a registry are named "red"',
  });
  t.end();
});

t.test('names come sorted by code unit, whatever the order of the items', (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string()), (names) => {
      const registry = new Registry(names.map((name) => ({ name })));
      const sorted = registry.names();
      return (
        sorted.length === names.length && sorted.every((name, at) => at === 0 || (sorted[at - 1] as string) < name)
      );
    }),
  );
  t.end();
});

t.test('values come in the order in which they were given', (t) => {
  const items = [{ name: 'b' }, { name: 'a' }];
  t.same([...new Registry(items).values()], items);
  t.end();
});

t.test('items cannot be changed any more', (t) => {
  const item = { name: 'red', root: 'a' };
  new Registry([item]);
  t.throws(() => {
    item.root = 'b';
  }, TypeError);
  t.end();
});
