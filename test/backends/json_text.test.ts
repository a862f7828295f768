import fc from 'fast-check';
import t from 'tap';
import { jsonTextAt } from '../../src/backends/json_text.js';
import { watchBuffers } from '../support/retained.js';

/** The text at the path, in brackets, or what is there in its place. */
function read(json: string | Buffer, ...path: string[]): string {
  const place = jsonTextAt(Buffer.from(json), path);
  return place.kind === 'text' ? `[${place.value.toString()}]` : place.kind;
}

/** The same by way of JSON.parse. */
function parsed(json: string, path: readonly string[]): string {
  let data: unknown;
  try {
    data = JSON.parse(json);
  } catch {
    return 'malformed';
  }
  for (const key of path) {
    const isMapping = typeof data === 'object' && data !== null && !Array.isArray(data);
    if (!isMapping || !Object.hasOwn(data as object, key)) return 'missing';
    data = (data as Record<string, unknown>)[key];
  }
  return typeof data === 'string' ? `[${Buffer.from(data).toString()}]` : 'no_text';
}

t.test('a text is found at its path', (t) => {
  const json = '{"data":{"other":"x","data":{"a":[1,{"value":"no"}],"value":"the value"},"value":"no"},"value":"no"}';
  t.equal(read(json, 'data', 'data', 'value'), '[the value]');
  t.equal(read('"whole"'), '[whole]');
  t.equal(read('{"":{"":"x"}}', '', ''), '[x]');
  t.end();
});

t.test('what is no text, and what is not there, is told apart', (t) => {
  for (const other of ['1', 'true', 'false', 'null', '[]', '{}', '["x"]', '{"x":"y"}', '-0.5e+10']) {
    t.equal(read(`{"a":${other}}`, 'a'), 'no_text', other);
  }
  t.equal(read('{"a":"x"}', 'b'), 'missing');
  t.equal(read('{"a":"x"}', 'a', 'b'), 'missing');
  t.equal(read('{"a":null}', 'a', 'b'), 'missing');
  t.equal(read('["x"]', '0'), 'missing');
  t.equal(read('{}', 'constructor'), 'missing');
  t.end();
});

t.test('of several equal keys the last counts, on each level', (t) => {
  t.equal(read('{"a":"x","a":"y"}', 'a'), '[y]');
  t.equal(read('{"a":"x","a":1}', 'a'), 'no_text');
  t.equal(read('{"a":{"b":"x"},"a":{"c":"y"}}', 'a', 'b'), 'missing');
  t.equal(read('{"a":{"b":"x"},"a":"y"}', 'a', 'b'), 'missing');
  t.equal(read('{"\\u0061":"x"}', 'a'), '[x]', 'however it is written');
  t.end();
});

t.test('a document that is none is malformed, wherever the text stands', (t) => {
  const texts = [
    ...['', ' ', '{', '}', '{"a"', '{"a":', '{"a":"x"', '{"a":"x",}', '{"a" "x"}', '{a:"x"}', '{"a":"x"}}'],
    ...['["x"', '["x",]', '[,]', '"', '"\\', '"\\x"', '"\\u"', '"\\u12"', '"\\u12g4"', '"\\u123', '"\t"', '"a\nb"'],
    ...[
      '01',
      '1.',
      '.5',
      '+1',
      '1e',
      '--1',
      '-',
      'nul',
      'nulll',
      'True',
      'NaN',
      '1 2',
      "'x'",
      '\ufeff"x"',
      '\u00a0"x"',
    ],
  ];
  for (const text of texts) {
    t.equal(read(text), 'malformed', JSON.stringify(text));
    t.equal(parsed(text, []), 'malformed', 'and JSON.parse says so too');
  }
  t.equal(read('{"a":"x","b":tru}', 'a'), 'malformed');
  t.equal(read(Buffer.from('{"a":"\xff"}', 'latin1'), 'a'), 'malformed', 'what is no UTF-8');
  t.end();
});

t.test('nesting is bounded', (t) => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  t.equal(read(nested(512)), 'no_text');
  t.equal(read(nested(514)), 'malformed');
  t.equal(read('['.repeat(1_000_000)), 'malformed');
  t.end();
});

t.test('what is passed over is not copied, however much it is', (t) => {
  const passed = '"a":1,"value":true,"other":"x",'.repeat(1000);
  const json = Buffer.from(`{${passed}"value":"v"}`);
  const buffers = watchBuffers(t);
  const place = jsonTextAt(json, ['value']);
  t.ok(buffers.seen() < 5);
  t.match(place, { kind: 'text' });
  t.end();
});

t.test('the value is a Buffer of its own', (t) => {
  const json = Buffer.from('{"a":"value"}');
  const place = jsonTextAt(json, ['a']);
  json.fill(0);
  t.match(place, { kind: 'text', value: Buffer.from('value') });
  t.end();
});

// Not a lone backslash as well: JSON.parse of Node 24 and 26 takes the key `"` for it where it has seen it before.
const key = fc.constantFrom('a', 'b', 'data', 'ключ', '"', '\\\\', '__proto__', '');
const document = fc.jsonValue({ stringUnit: 'binary' });
const withKeys = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, fc.string({ unit: 'binary' }), document, tie('mapping')),
  mapping: fc.dictionary(key, tie('value'), { maxKeys: 4 }),
})).mapping;

t.test('for every document and path it says what JSON.parse says', (t) => {
  fc.assert(
    fc.property(
      withKeys,
      fc.array(key, { maxLength: 3 }),
      fc.constantFrom(undefined, 1, '\t'),
      (data, path, indent) => {
        const json = JSON.stringify(data, null, indent);
        return read(json, ...path) === parsed(json, path);
      },
    ),
    { numRuns: 2000 },
  );
  t.end();
});

/** Strings as any writer of JSON may write them. */
const written = fc.array(
  fc.oneof(
    fc.constantFrom(
      '\\"',
      '\\\\',
      '\\/',
      '\\b',
      '\\f',
      '\\n',
      '\\r',
      '\\t',
      'é',
      '🔑',
      'x',
      '\\ud83d\\udd11',
      '\u007f',
    ),
    fc.integer({ min: 0, max: 0xffff }).map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`),
    fc.integer({ min: 0xd7f0, max: 0xe010 }).map((unit) => `\\u${unit.toString(16).toUpperCase().padStart(4, '0')}`),
  ),
);

t.test('for every way to write a text it gives the bytes of that text', (t) => {
  fc.assert(
    fc.property(written, (parts) => {
      const json = `"${parts.join('')}"`;
      return read(json) === parsed(json, []);
    }),
    { numRuns: 2000 },
  );
  t.end();
});

t.test('for every text whatsoever it takes for JSON what JSON.parse does', (t) => {
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '"a"',
    '\\',
    'u00e9',
    '0',
    '-',
    '1',
    '.',
    'e',
    'null',
    ' ',
    '\n',
    'é',
  ];
  const texts = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(
      fc.oneof(
        texts,
        texts.map((text) => `{"a":${text}}`),
        texts.map((text) => `"${text}"`),
      ),
      (json) => {
        return read(json, 'a') === parsed(json, ['a']);
      },
    ),
    { numRuns: 5000 },
  );
  t.end();
});
