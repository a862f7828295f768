import fc from 'fast-check';
import t from 'tap';
import { negotiate, type Representation, REPRESENTATIONS } from '../../src/http/accept.js';

const JSON_TYPE = 'application/json';
const TEXT = 'text/plain';
const BYTES = 'application/octet-stream';

const CASES: readonly (readonly [string, readonly [string | undefined, Representation | null][]])[] = [
  [
    'without a wish the answer is JSON',
    [
      [undefined, JSON_TYPE],
      ['', JSON_TYPE],
      [' \t', JSON_TYPE],
      [',', JSON_TYPE],
      [' , ,, ', JSON_TYPE],
      ['*/*', JSON_TYPE],
      ['*/*;q=0.1', JSON_TYPE],
    ],
  ],
  [
    'a representation may be named',
    [
      ['application/json', JSON_TYPE],
      ['text/plain', TEXT],
      ['application/octet-stream', BYTES],
      ['TEXT/Plain', TEXT],
      [' text/plain ', TEXT],
      ['\ttext/plain\t,', TEXT],
      [',,text/plain', TEXT],
    ],
  ],
  [
    'or a range of them',
    [
      ['text/*', TEXT],
      ['application/*', JSON_TYPE],
      ['Application/*', JSON_TYPE],
    ],
  ],
  [
    'of several the best liked wins',
    [
      ['text/plain;q=0.5, application/json;q=0.4', TEXT],
      ['text/plain;q=0.4, application/json;q=0.5', JSON_TYPE],
      ['text/plain;q=0.4, */*;q=0.5', JSON_TYPE],
      ['text/plain;q=0.001, image/png', TEXT],
      ['text/plain;Q=0.4, application/octet-stream;Q=0.5', BYTES],
    ],
  ],
  [
    'of those liked alike the one that is named more exactly, then the one that stands earlier',
    [
      ['*/*, text/plain', TEXT],
      ['*/*, application/octet-stream', BYTES],
      ['application/*, text/plain', TEXT],
      ['*/*, text/*', TEXT],
      ['text/plain, application/json', TEXT],
      ['application/octet-stream, application/json', BYTES],
      ['application/json, text/plain', JSON_TYPE],
      ['text/plain;q=1.0, application/json;q=1', TEXT],
    ],
  ],
  [
    'the most exact range speaks of a representation, whatever its quality and place',
    [
      ['*/*, application/json;q=0', TEXT],
      ['application/json;q=0, */*', TEXT],
      ['application/*, application/json;q=0', BYTES],
      ['*/*, application/*;q=0', TEXT],
      ['text/*;q=0.1, text/plain;q=0.9, application/json;q=0.5', TEXT],
      ['text/*;q=0.9, text/plain;q=0.1, application/json;q=0.5', JSON_TYPE],
    ],
  ],
  [
    'what nothing matches, or only at quality 0, is not acceptable',
    [
      ['image/png', null],
      ['text/html, image/*', null],
      ['text/plain;q=0', null],
      ['*/*;q=0', null],
      ['*/*;q=0.000', null],
      ['application/json;q=0, text/*;q=0, application/octet-stream;q=0, */*', null],
      ['json/application', null],
      ['application/problem+json', null],
      ['text/plainer', null],
    ],
  ],
  [
    'parameters other than q are ignored',
    [
      ['text/plain;charset=utf-8', TEXT],
      ['text/plain; charset="utf-8"', TEXT],
      ['text/plain;charset=latin1', TEXT],
      ['text/plain;a="x, image/png;q=0"', TEXT],
      ['text/plain;a="\\"",image/png', TEXT],
      ['text/plain ; a=b ; q=0.5 ; c=d, application/json;q=0.4', TEXT],
      ['text/plain;q=0.5;ext=1, application/json;q=0.6', JSON_TYPE],
      ['text/plain;', TEXT],
      ['text/plain;;q=0.5;, application/json;q=0.4', TEXT],
      ['image/png;q=0;', null],
    ],
  ],
  [
    'a header that does not parse counts as one that takes anything',
    [
      ['text', JSON_TYPE],
      ['*', JSON_TYPE],
      ['text/', JSON_TYPE],
      ['/plain', JSON_TYPE],
      ['*/plain', JSON_TYPE],
      ['text /plain', JSON_TYPE],
      ['text/ plain', JSON_TYPE],
      ['text/plain image/png', JSON_TYPE],
      ['text/plain/x', JSON_TYPE],
      ['text/plain;q=2', JSON_TYPE],
      ['text/plain;q=1.001', JSON_TYPE],
      ['text/plain;q=.5', JSON_TYPE],
      ['text/plain;q=0.0001', JSON_TYPE],
      ['text/plain;q=-1', JSON_TYPE],
      ['text/plain;q="0.5"', JSON_TYPE],
      ['text/plain;q=', JSON_TYPE],
      ['text/plain;q', JSON_TYPE],
      ['text/plain;a = b', JSON_TYPE],
      ['text/plain;a="x', JSON_TYPE],
      ['image/png;q=0, text/plain;q=x', JSON_TYPE],
      ['tëxt/plain', JSON_TYPE],
      ['image/png\u0000', JSON_TYPE],
      ['constructor', JSON_TYPE],
    ],
  ],
];

for (const [rule, examples] of CASES) {
  t.test(rule, (t) => {
    for (const [accept, expected] of examples) t.equal(negotiate(accept), expected, JSON.stringify(accept));
    t.end();
  });
}

t.test('any header at all gives a representation or none', (t) => {
  const piece = fc.constantFrom(
    'text',
    'plain',
    'application',
    'json',
    'octet-stream',
    '*',
    '/',
    ';',
    ',',
    'q',
    '=',
    '0',
    '.5',
    '1',
    '"',
    '\\',
    ' ',
    '\t',
    'a',
  );
  const header = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')),
  );
  fc.assert(
    fc.property(header, (accept) => {
      const chosen = negotiate(accept);
      return chosen === null || REPRESENTATIONS.includes(chosen);
    }),
    { numRuns: 2_000 },
  );
  t.pass();
  t.end();
});

t.test('what is accepted is chosen by quality, in any order and with any parameters', (t) => {
  const ranges = fc.uniqueArray(
    fc.record({ type: fc.constantFrom(...REPRESENTATIONS), quality: fc.integer({ min: 0, max: 1_000 }) }),
    { minLength: 1, selector: ({ type }) => type },
  );
  fc.assert(
    fc.property(ranges, fc.constantFrom('', ';a=b', ';a="q=0"'), (list, parameter) => {
      const header = list
        .map(({ type, quality }) => `${type}${parameter};q=${(quality / 1_000).toFixed(3)}`)
        .join(', ');
      const best = Math.max(...list.map(({ quality }) => quality));
      const expected = best === 0 ? null : list.find(({ quality }) => quality === best)?.type;
      t.equal(negotiate(header), expected, header);
    }),
  );
  t.end();
});

t.test('a header of the size that the parser lets through is read in one go', (t) => {
  for (const accept of [
    ';'.repeat(16_000),
    `a/b${';'.repeat(16_000)}`,
    ' ,'.repeat(8_000),
    `a/b;a="${'\\'.repeat(16_000)}`,
    `a/b${' '.repeat(16_000)}x`,
  ]) {
    t.equal(negotiate(accept), accept.startsWith('a/b;;') ? null : JSON_TYPE);
  }
  t.end();
});
