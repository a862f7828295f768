import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import t from 'tap';
import { REPRESENTATIONS } from '../../src/http/accept.js';
import { represent } from '../../src/http/representation.js';

/** Bytes of every kind: any, valid text, text full of what JSON must escape, text cut within a character. */
const anyValue = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ unit: 'binary', maxLength: 100 }).map((text) => Buffer.from(text)),
  fc
    .array(
      fc.constantFrom(
        '"',
        '\\',
        '\0',
        '\b',
        '\t',
        '\n',
        '\v',
        '\f',
        '\r',
        '\x1f',
        '\x7f',
        '/',
        '\u2028',
        '\u2029',
        '\ufeff',
        'é',
        '😀',
        'a',
      ),
      {
        maxLength: 60,
      },
    )
    .map((characters) => Buffer.from(characters.join(''))),
  fc.string({ unit: 'binary', minLength: 1 }).map((text) => Buffer.from(text).subarray(1)),
);

t.test('as JSON any value comes back: text as it is, other bytes by base64', (t) => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const { type, body } = represent('api_key', value, 'application/json');
      t.equal(type, 'application/json; charset=utf-8');
      t.ok(isUtf8(body));
      const expected = isUtf8(value)
        ? { name: 'api_key', value: value.toString('utf8') }
        : { name: 'api_key', value: value.toString('base64'), encoding: 'base64' };
      t.strictSame(JSON.parse(body.toString('utf8')), expected);
      const text = body.toString('utf8');
      t.notMatch(text, /[\0-\x1f]/);
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('as JSON every single byte and every single character of one unit comes back', (t) => {
  for (let byte = 0; byte < 256; byte += 1) {
    const { value, encoding } = JSON.parse(
      represent('a', Buffer.of(byte), 'application/json').body.toString('utf8'),
    ) as { value: string; encoding?: string };
    t.equal(value, byte < 0x80 ? String.fromCharCode(byte) : Buffer.of(byte).toString('base64'));
    t.equal(encoding, byte < 0x80 ? undefined : 'base64');
  }
  const text = Array.from({ length: 0xd800 }, (_, unit) => String.fromCharCode(unit)).join('');
  const { body } = represent('a', Buffer.from(text), 'application/json');
  t.equal((JSON.parse(body.toString('utf8')) as { value: string }).value, text);
  t.end();
});

t.test('as JSON a value takes the shape of the contract', (t) => {
  const cases: [string | Buffer, string][] = [
    ['', '{"name":"n","value":""}'],
    ['plain', '{"name":"n","value":"plain"}'],
    ['"\\/\b\f\n\r\t', String.raw`{"name":"n","value":"\"\\/\b\f\n\r\t"}`],
    ['\0\x1b\x7f', '{"name":"n","value":"\\u0000\\u001b\x7f"}'],
    ['ü\u2028😀', '{"name":"n","value":"ü\u2028😀"}'],
    [Buffer.of(0xff), '{"name":"n","value":"/w==","encoding":"base64"}'],
    [Buffer.of(0xff, 0xfe), '{"name":"n","value":"//4=","encoding":"base64"}'],
    [Buffer.of(0xff, 0xfe, 0xfd), '{"name":"n","value":"//79","encoding":"base64"}'],
    [Buffer.of(0xed, 0xa0, 0x80), '{"name":"n","value":"7aCA","encoding":"base64"}'], // a lone surrogate is no UTF-8
  ];
  for (const [value, expected] of cases) {
    t.equal(represent('n', Buffer.from(value), 'application/json').body.toString('utf8'), expected);
  }
  t.end();
});

for (const representation of ['text/plain', 'application/octet-stream'] as const) {
  t.test(`as ${representation} any value is exactly its bytes`, (t) => {
    fc.assert(
      fc.property(anyValue, (value) => {
        t.ok(represent('api_key', value, representation).body.equals(value));
      }),
    );
    t.end();
  });
}

t.test('text says its charset only where it is text', (t) => {
  t.equal(represent('n', Buffer.from('é'), 'text/plain').type, 'text/plain; charset=utf-8');
  t.equal(represent('n', Buffer.of(0xe9), 'text/plain').type, 'text/plain');
  t.equal(represent('n', Buffer.from('é'), 'application/octet-stream').type, 'application/octet-stream');
  t.end();
});

t.test('the body shares no byte with anything, so that all can be filled with zeros', (t) => {
  for (const representation of REPRESENTATIONS) {
    const value = Buffer.from('secret');
    const { body } = represent('n', value, representation);
    const { body: other } = represent('n', Buffer.from('other'), representation);
    t.not(body.buffer, value.buffer);
    value.fill(0);
    other.fill(0);
    t.match(body.toString('utf8'), 'secret');
  }
  t.end();
});
