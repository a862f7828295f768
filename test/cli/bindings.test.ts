import fc from 'fast-check';
import t from 'tap';
import { UsageError } from '../../src/cli/arguments.js';
import { parseBindings } from '../../src/cli/bindings.js';

t.test('a binding is a variable and a name, for its value or for a file', (t) => {
  t.same(parseBindings(['A=b', '_c2=d'], ['E=f']), [
    { variable: 'A', secret: 'b', asFile: false },
    { variable: '_c2', secret: 'd', asFile: false },
    { variable: 'E', secret: 'f', asFile: true },
  ]);
  t.same(parseBindings([], []), []);
  t.end();
});

t.test('the name begins after the first "="', (t) => {
  t.match(parseBindings(['A=b=c'], []), [{ variable: 'A', secret: 'b=c' }]);
  t.end();
});

t.test('what is no binding is refused without being shown: it may be a value', (t) => {
  for (const text of ['', 'A', 'A=', '=a', '1A=b', 'A B=c', 'A-B=c', 'Ä=b', ' A=b', 'A\n=b']) {
    for (const call of [() => parseBindings([text], []), () => parseBindings([], [text])]) {
      t.throws(
        call,
        new UsageError(
          'a binding is VAR=NAME: a variable of letters, digits and underscores, and the name of a secret',
        ),
      );
    }
  }
  t.end();
});

t.test('for all bindings: a message holds nothing of what stands after the "="', (t) => {
  const canary = 'canary-7d1e';
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, after) => {
      try {
        parseBindings([`${before}=${canary}${after}`, `A=${canary}`, `A=${canary}`], []);
        return false;
      } catch (error) {
        return !(error as Error).message.includes(canary);
      }
    }),
  );
  t.end();
});

t.test('a variable is there once', (t) => {
  t.throws(() => parseBindings(['A=b', 'A=c'], []), new UsageError('A is there twice'));
  t.throws(() => parseBindings(['A=b'], ['A=b']), new UsageError('A is there twice'));
  t.doesNotThrow(() => parseBindings(['A=b', 'a=b'], []));
  t.end();
});
