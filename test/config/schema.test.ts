import fc from 'fast-check';
import t from 'tap';
import * as Type from '@sinclair/typebox';
import {
  absolutePath,
  check,
  type Checked,
  cleanText,
  closedObject,
  identifier,
  IDENTIFIER_RULE,
  octalMode,
  oneOf,
  unknownKey,
  wholeNumber,
} from '../../src/config/schema.js';
import { isIdentifier } from '../../src/domain/identifier.js';
import { collector } from '../support/config_files.js';

type Schema = Parameters<typeof check>[0];

function told(schema: Schema, value: unknown, pointer = ''): string[] {
  const { told, report } = collector();
  check(schema, value, pointer, report);
  return told;
}

function checked(schema: Schema, value: unknown): Checked {
  return check(schema, value, '', () => undefined);
}

const CLEAN_RULE = 'must not be empty, have white space around it or hold a control character';

t.test('clean text is not empty, has no white space around it and no control character in it', (t) => {
  for (const text of ['a', 'a b', 'é', '😀', '-', '$HOME', '"x"'])
    t.same(told(cleanText(), text), [], JSON.stringify(text));
  for (const text of [
    '',
    ' ',
    ' a',
    'a ',
    '\ta',
    'a\n',
    '\u00a0a',
    'a\u3000',
    '\ufeffa',
    'a\u0000b',
    'a\u007fb',
    'a\u0085b',
  ]) {
    t.same(told(cleanText(), text), [`: ${CLEAN_RULE}`], JSON.stringify(text));
  }
  t.end();
});

t.test('a line separator may stand within clean text, as it is no control character', (t) => {
  t.same(told(cleanText(), 'a\u2028b'), []);
  t.end();
});

t.test('clean text is well-formed, so that it names what it says and nothing else', (t) => {
  for (const text of ['a\ud800', '\udfffa', 'a\ud83d b', '\ude00\ud83d']) {
    t.same(told(cleanText(), text), [': is not well-formed Unicode'], JSON.stringify(text));
    t.same(told(absolutePath(), `/${text}`), [': is not well-formed Unicode']);
  }
  t.end();
});

t.test('clean is what trimming leaves as it is, and what has no control character', (t) => {
  const text = fc.string({
    unit: fc.oneof(
      fc.constantFrom(' ', '\n', '\u0000', '\u009f', '\ud800', '\udc00', 'a'),
      fc.string({ maxLength: 1 }),
    ),
  });
  fc.assert(
    fc.property(text, (given) => {
      const clean = given !== '' && given.trim() === given && !/[\p{Cc}\p{Cs}]/u.test(given);
      return checked(cleanText(), given).fits === clean;
    }),
  );
  t.end();
});

t.test('a long text is judged without harm', (t) => {
  const long = 'a '.repeat(2_000_000);
  t.same(told(cleanText(), `${long}a`), []);
  t.same(told(cleanText(), long), [`: ${CLEAN_RULE}`]);
  t.end();
});

t.test('an identifier is one by the rule of the domain', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'z', '0', '_', 'A', '-', '\n') }), (text) => {
      return checked(identifier(), text).fits === isIdentifier(text);
    }),
  );
  t.same(told(identifier(), 'Red'), [`: ${IDENTIFIER_RULE}`]);
  for (const pattern of ['*', 'market*']) {
    t.same(told(identifier(), pattern), [`: ${IDENTIFIER_RULE}; there are no patterns: each is named`]);
  }
  t.end();
});

t.test('an absolute path begins with a slash, and is clean', (t) => {
  for (const text of ['/', '/usr/bin/gopass', '/a b/c']) t.same(told(absolutePath(), text), [], text);
  for (const text of ['', 'gopass', './gopass', '~/gopass', ' /a', '/a ', '/a\n', '/a\u0000b']) {
    t.same(
      told(absolutePath(), text),
      [': must be an absolute path, without white space around it and without control characters'],
      JSON.stringify(text),
    );
  }
  t.end();
});

t.test('a whole number is one within its bounds, and no text', (t) => {
  for (const value of [1, 2, 10]) t.same(told(wholeNumber(1, 10), value), []);
  for (const value of [0, 11, -1, 1.5, NaN, Infinity, true, [], {}, '5s', '1_000', '']) {
    t.same(told(wholeNumber(1, 10), value), [': must be a whole number from 1 to 10']);
  }
  t.same(told(wholeNumber(1, 10), '5'), [': must be a whole number from 1 to 10, not in quotes']);
  t.end();
});

t.test('a mode is an octal number in quotes, and a bare number is told so', (t) => {
  for (const mode of ['0600', '600', '0000', '0777']) t.same(told(octalMode(), mode), [], mode);
  for (const mode of ['', '0o600', '0800', '60', '04755', 'rw-------', ' 0600', '0600 ', '-600', '0x1ff']) {
    t.same(told(octalMode(), mode), [': must be an octal mode in quotes, as "0600"'], mode);
  }
  for (const mode of [600, 0o600, 0]) {
    t.same(told(octalMode(), mode), [': must be in quotes, as "0600": a bare number is not read as octal']);
  }
  t.end();
});

t.test('one of several is suggested when it is one slip away', (t) => {
  const schema = oneOf(['info', 'warn']);
  t.same(told(schema, 'warn'), []);
  t.same(told(schema, 'ifno'), [': must be one of info, warn; did you mean "info"?']);
  t.same(told(schema, 'verbose'), [': must be one of info, warn']);
  t.same(told(schema, 3), [': must be one of info, warn']);
  t.same(told(schema, null), [': is empty: it must be one of info, warn']);
  t.end();
});

t.test('text that looks like something else to YAML is to be put in quotes', (t) => {
  t.same(told(cleanText(), 7), [': must be a string, not a bare number: put it in quotes']);
  t.same(told(cleanText(), true), [': must be a string, not a bare true or false: put it in quotes']);
  for (const value of [[], {}]) t.same(told(cleanText(), value), [': must be a string']);
  t.end();
});

t.test('what is empty is told to be', (t) => {
  t.same(told(cleanText(), null), [': is empty: it must be a string']);
  t.same(told(closedObject({}), null), [': is empty: it must be a mapping']);
  t.same(told(Type.Array(identifier()), null), [': is empty: it must be a list']);
  t.same(told(wholeNumber(1, 10), null), [': is empty: it must be a whole number from 1 to 10']);
  t.end();
});

const STORE = closedObject({
  backend: cleanText({ description: 'where the values live' }),
  binary: Type.Optional(absolutePath()),
  list: Type.Optional(Type.Array(identifier())),
});

t.test('every way in which a mapping does not fit is told, each once', (t) => {
  t.same(told(STORE, { bnary: '/x', binary: 'y', list: ['a', 'B', 1] }, '/stores/red'), [
    '/stores/red/backend: is missing: where the values live',
    '/stores/red/bnary: is an unknown key; did you mean "binary"?',
    '/stores/red/binary: must be an absolute path, without white space around it and without control characters',
    `/stores/red/list/1: ${IDENTIFIER_RULE}`,
    '/stores/red/list/2: must be a string, not a bare number: put it in quotes',
  ]);
  t.end();
});

t.test('what is no mapping is told once', (t) => {
  for (const value of [[], 'text', 1, true, undefined]) t.same(told(STORE, value), [': must be a mapping']);
  t.end();
});

t.test('an unknown key is told at the key, all else at the value', (t) => {
  const places: unknown[] = [];
  check(STORE, { backend: 1, other: 2 }, '', (pointer, _message, at) => places.push([pointer, at]));
  t.same(places, [
    ['/other', 'key'],
    ['/backend', undefined],
  ]);
  t.end();
});

t.test('keys that an object merely inherits are neither there nor unknown', (t) => {
  t.same(told(STORE, { backend: 'x', constructor: 'y' }), [
    '/constructor: is an unknown key; known here: backend, binary, list',
  ]);
  t.same(told(STORE, JSON.parse('{"backend": "x", "__proto__": {"list": 1}}')), [
    '/__proto__: is an unknown key; known here: backend, binary, list',
  ]);
  t.end();
});

t.test('an unknown key is told with what is known, and << with why', (t) => {
  t.equal(unknownKey('/colour', ['store', 'path']), 'is an unknown key; known here: store, path');
  t.equal(unknownKey('/a~1b/stores', ['store', 'path']), 'is an unknown key; did you mean "store"?');
  t.equal(unknownKey('/refs/<<', ['store']), 'is an unknown key: merge keys are not read; write the keys out');
  t.end();
});

t.test('what is right can be had although something else is wrong', (t) => {
  const result = checked(STORE, { backend: 'x', binary: 'y', list: ['a', 'B'] });
  t.notOk(result.fits);
  t.equal(result.at('/backend'), 'x');
  t.equal(result.at('/binary'), undefined, 'it is wrong');
  t.equal(result.at('/list/0'), 'a');
  t.equal(result.at('/list/1'), undefined, 'it is wrong');
  t.equal(result.at('/missing/too'), undefined);
  t.ok(checked(STORE, { backend: 'x' }).fits);
  t.equal(checked(STORE, 'text').at('/backend'), undefined);
  t.end();
});
