import fc from 'fast-check';
import t from 'tap';
import { IDENTIFIER_PATTERN, isIdentifier } from '../../src/domain/identifier.js';

const FIRST = Array.from('abcdefghijklmnopqrstuvwxyz');
const LATER = Array.from('abcdefghijklmnopqrstuvwxyz0123456789_');

const identifier = fc
  .tuple(fc.constantFrom(...FIRST), fc.array(fc.constantFrom(...LATER), { maxLength: 127 }))
  .map(([first, rest]) => first + rest.join(''));

t.test('a lower-case letter, then lower-case letters, digits and underscores, is an identifier', (t) => {
  fc.assert(fc.property(identifier, (text) => isIdentifier(text)));
  t.end();
});

t.test('an identifier has 128 characters at most', (t) => {
  t.ok(isIdentifier('a'.repeat(128)));
  t.notOk(isIdentifier('a'.repeat(129)));
  t.end();
});

t.test('text with any other character in any place is no identifier', (t) => {
  const other = fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((unit) => !LATER.includes(unit));
  fc.assert(
    fc.property(identifier, other, fc.nat({ max: 127 }), (text, unit, at) => {
      return !isIdentifier(text.slice(0, at) + unit + text.slice(at));
    }),
  );
  t.end();
});

t.test('no identifier', (t) => {
  const others = ['', '_a', '1a', 'A', 'a-b', 'a.b', ' a', 'a ', 'a\n', '\na', 'a\u0000', 'é', 'ａ', '__proto__', '-a'];
  for (const text of others) t.notOk(isIdentifier(text), JSON.stringify(text));
  t.end();
});

t.test('what is no text is no identifier, even if its text would be one', (t) => {
  for (const value of [undefined, null, true, 7, ['a'], { toString: () => 'a' }]) t.notOk(isIdentifier(value));
  t.end();
});

t.test('names that mean something to JavaScript are identifiers like others', (t) => {
  for (const text of ['constructor', 'prototype', 'then', 'null', 'true']) t.ok(isIdentifier(text), text);
  t.end();
});

t.test('the pattern is anchored, as schemas need it', (t) => {
  t.match(IDENTIFIER_PATTERN, /^\^.*\$$/);
  t.end();
});
