import fc from 'fast-check';
import t from 'tap';
import { lengthWithoutLineEndings, valueOfEntry } from '../../src/backends/entry.js';

/** The value as text, or the reason why there is none. */
function value(entry: string | Buffer, field?: string): string {
  const answer = valueOfEntry(Buffer.from(entry as string), field);
  return answer.ok ? answer.value.toString() : `${answer.code}/${answer.reason}`;
}

const MISSING = 'secret_not_found/field_missing';
const NOT_TEXT = 'backend_failed/field_not_text';

t.test('trailing line endings are LF and CRLF, as many as there are, and nothing else', (t) => {
  const cases: [string, string][] = [
    ['', ''],
    ['a', 'a'],
    ['a\n', 'a'],
    ['a\r\n', 'a'],
    ['a\n\n\r\n\n', 'a'],
    ['\n\r\n', ''],
    ['\r\n', ''],
    ['a\r', 'a\r'],
    ['a\r\r\n', 'a\r'],
    ['a \t\n', 'a \t'],
    ['\n\na\n', '\n\na'],
    ['a\nb\n', 'a\nb'],
    ['a\u2028', 'a\u2028'],
  ];
  for (const [entry, whole] of cases) t.equal(value(entry), whole, encodeURIComponent(entry));
  t.end();
});

t.test('of whatever bytes, nothing but line endings at the end is taken away', (t) => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.array(fc.constantFrom('\n', '\r\n')), (bytes, endings) => {
      const entry = Buffer.concat([bytes, Buffer.from(endings.join(''))]);
      const kept = entry.subarray(0, lengthWithoutLineEndings(entry));
      const answer = valueOfEntry(Buffer.from(entry), undefined);
      return (
        /^(\r?\n)*$/.test(entry.subarray(kept.length).toString('latin1')) &&
        !kept.toString('latin1').endsWith('\n') &&
        answer.ok &&
        answer.value.equals(kept)
      );
    }),
  );
  t.end();
});

t.test('`password` is the first line', (t) => {
  t.equal(value('one\ntwo\n', 'password'), 'one');
  t.equal(value('one', 'password'), 'one');
  t.equal(value(' one \r\ntwo', 'password'), ' one ');
  t.equal(value('key: looks like one\n', 'password'), 'key: looks like one');
  t.equal(value('one\npassword: another\n', 'password'), 'one');
  t.equal(value('\ntwo\n', 'password'), '');
  t.equal(value('', 'password'), '');
  t.equal(value('---\na: b\n', 'password'), '---');
  t.end();
});

t.test('another name is that key of the lines after the first', (t) => {
  const entry = 'key: not here\nuser: alice\n  spaced\t : x \nurl: https://x: y\nempty: \nno:separator\nuser: bob\r\n';
  t.equal(value(entry, 'url'), 'https://x: y', 'the first separator counts');
  t.equal(value(entry, 'spaced'), ' x '.slice(1), 'blanks around the key do not count, those of the value do');
  t.equal(value(entry, 'user'), 'alice\nbob', 'all values of a key, one a line');
  t.equal(value(entry, 'empty'), '');
  t.equal(value('pw\na: \na: x\na: \n', 'a'), '\nx', 'empty values too');
  for (const absent of ['key', 'User', 'no', 'nothing', 'use', 'https']) t.equal(value(entry, absent), MISSING, absent);
  t.equal(value('pw', 'pw'), MISSING);
  t.end();
});

t.test('an entry of nothing but line endings is empty, whatever field is asked for', (t) => {
  for (const entry of ['', '\n', '\r\n\n']) {
    for (const field of [undefined, 'password', 'user']) t.equal(value(entry, field), '', JSON.stringify(entry));
  }
  t.end();
});

t.test('a key and a value may be any text of one line', (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', minLength: 1 }).filter((key) => !/[\r\n:]|^[ \t]|[ \t]$|^---|^password$/.test(key)),
      fc.array(
        fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n]/.test(text)),
        { minLength: 1 },
      ),
      (key, texts) => {
        const entry = ['password', ...texts.map((text) => `${key}: ${text}`), 'other: x'].join('\n');
        return value(entry, key) === texts.join('\n').replace(/\n+$/, '');
      },
    ),
  );
  t.end();
});

t.test('a value that is not UTF-8 stays as it is', (t) => {
  const answer = valueOfEntry(Buffer.from('pw\nkey: \xff\xfe\n', 'latin1'), 'key');
  t.same(answer.ok && answer.value, Buffer.from([0xff, 0xfe]));
  t.end();
});

t.test('below a line that begins with --- another name is a key of the YAML mapping there', (t) => {
  const entry =
    'pw\nuser: above\n---\nuser: "a \\"b\\""\nn: 0123\nbig: 1.10\nyes: yes\nnull: ~\ntext: |\n  x\n  y\n1: one\n';
  t.equal(value(entry, 'user'), 'a "b"');
  t.equal(value(entry, 'n'), '0123', 'a scalar is the text that stands there');
  t.equal(value(entry, 'big'), '1.10');
  t.equal(value(entry, 'yes'), 'yes');
  t.equal(value(entry, 'null'), '~');
  t.equal(value(entry, 'text'), 'x\ny');
  t.equal(value(entry, '1'), 'one');
  t.equal(value(entry, 'absent'), MISSING);
  t.equal(value('pw\n--- # comment\na: b\n', 'a'), 'b');
  t.equal(value('---\na: b\n', 'a'), 'b', 'without a password above');
  t.equal(value(' --- \na: b\n', 'a'), 'b');
  t.equal(value('---x\na: b\n', 'a'), 'b', 'a first line that is more than --- is a password');
  t.equal(value('pw\n---\na: b\n---\na: c\n', 'a'), 'b', 'the first document counts');
  t.end();
});

t.test('what is no text in YAML is no value', (t) => {
  const entry = 'pw\n---\nlist: [a, b]\nmap: &x { a: b }\nset: !!set { a }\nalias: *x\n';
  for (const field of ['list', 'map', 'set', 'alias']) t.equal(value(entry, field), NOT_TEXT, field);
  t.end();
});

t.test('whatever its tag says, a scalar of YAML is the text that stands there, or the bytes of a binary one', (t) => {
  const tags = ['str', 'int', 'float', 'bool', 'null', 'timestamp', 'merge', 'set', 'omap', 'pairs', 'seq', 'map'];
  for (const tag of ['!', '!own ', '!<tag:x> ', ...tags.map((name) => `!!${name} `)]) {
    for (const text of ['<<', '2026-01-01', '0123', 'x']) {
      t.equal(value(`pw\n---\nkey: ${tag} ${text}\n`, 'key'), text, `${tag} ${text}`);
    }
  }
  const binary = valueOfEntry(Buffer.from('pw\n---\nkey: !!binary /+l4\n'), 'key');
  t.same(binary.ok && binary.value, Buffer.from('ffe978', 'hex'));
  t.end();
});

t.test('an alias of YAML is what its anchor before it stands for, as a value and as a key', (t) => {
  const entry = 'pw\n---\na: &x one\nb: *x\nc: &x two\nd: *x\n&k e: three\n*k : four\nf: &y { *x : five, g: *y }\n';
  for (const [field, expected] of [
    ['b', 'one'],
    ['d', 'two'],
    ['e', 'three'],
    ['f', NOT_TEXT],
    ['two', MISSING],
  ] as const) {
    t.equal(value(entry, field), expected, field);
  }
  t.equal(value('pw\n---\na: &k key\n*k : bar\n', 'key'), 'bar');
  t.equal(value('pw\n---\nkey: *x\na: &x y\n', 'key'), '*x', 'without an anchor before it, it is no YAML');
  t.end();
});

t.test('a key of YAML without a value is an empty one, or none where nothing can stand', (t) => {
  t.equal(value('pw\n---\na:\nb: c\n', 'a'), '');
  t.equal(value('pw\n---\n? a\n', 'a'), MISSING);
  t.equal(value('pw\n---\n{ a, b: c }\n', 'a'), MISSING);
  t.end();
});

t.test('what is no UTF-8 is no YAML: its lines are lines, byte by byte', (t) => {
  const answer = valueOfEntry(Buffer.from('pw\n---\nuser: bob\nkey: p\xe9ss\n', 'latin1'), 'key');
  t.same(answer.ok && answer.value, Buffer.from('p\xe9ss', 'latin1'));
  const above = Buffer.from('p\xe9ss\n---\nkey: "a"\n', 'latin1');
  t.same(valueOfEntry(above, 'key'), { ok: true, value: Buffer.from('a') }, 'above it any bytes may stand');
  t.end();
});

t.test('YAML of too many tokens, or too deep, is not read, and takes no time', (t) => {
  const mebibyte = (piece: string): string => piece.repeat(Math.ceil(1_048_576 / piece.length));
  const keys = (count: number): string => Array.from({ length: count }, (_, at) => `k${at}: 1\n`).join('');
  t.equal(value(`pw\n---\n${keys(1_000)}key: value\n`, 'key'), 'value');
  t.equal(value(`pw\n---\nother: |\n${mebibyte(' abc\n')}key: value\n`, 'key'), 'value', 'a long text is one token');
  const { user } = process.cpuUsage();
  for (const part of [keys(100_000), ...[': ', '...\n', '[', '{a: ', '? ', '- ', 'x\n', '&a ', '!a '].map(mebibyte)]) {
    t.equal(value(`pw\n---\nkey: value\n${part}`, 'key'), 'backend_failed/yaml_too_large', part.slice(0, 4));
  }
  t.ok(process.cpuUsage().user - user < 5_000_000, 'ten of them at once');
  t.end();
});

t.test('where no YAML mapping begins, lines are lines', (t) => {
  t.equal(value('pw\na: x\n---\n- list\n', 'a'), 'x');
  t.equal(value('pw\na: x\n---\n', 'a'), 'x');
  t.equal(value('pw\na: x\n---', 'a'), 'x');
  t.equal(value('pw\na: x\n---\na: y\na: z\n', 'a'), 'x\ny\nz', 'a key twice is no YAML');
  t.equal(value('pw\na: x\n---\nb: [{ "a": 1, a: 2 }]\n', 'a'), 'x', 'nor deeper down');
  t.equal(value('pw\na: x\n---\na: y\nb: { c: 1, [c]: 2, [d]: 3 }\n', 'a'), 'y', 'lists as keys are others each');
  t.equal(value('pw\na: x\n---\nb: "unfinished\n', 'a'), 'x');
  t.equal(value('pw\na: x\n --- \nb: y\n', 'b'), 'y');
  t.end();
});

t.test('what this parser refuses, and others read, is no value where its line may be a piece of it', (t) => {
  const INVALID = 'backend_failed/yaml_invalid';
  for (const [part, expected] of [
    ['key: "one\ntwo"\n', INVALID],
    ["key: 'one\ntwo'\n", INVALID],
    ['key:   "one"# comment\n', INVALID],
    ['key: |\n  one\nb: "x"# c\n', INVALID],
    ['key: >-\n  one\nb: "x"# c\n', INVALID],
    ['key: one\n  two\nb: "x"# c\n', INVALID],
    ['key: one\n\n  \n  two\nb: "x"# c\n', INVALID],
    ['key: &a "one\ntwo"\n', INVALID],
    ['key: !!str  &a "one\ntwo"\n', INVALID],
    ['key: [one,\ntwo]\n', INVALID],
    ['key: {one: 1,\ntwo: 2}\n', INVALID],
    ['key: !one"\nb: "x"# c\n', '!one"'],
    ['key: &one two\nb: "x"# c\n', '&one two'],
    ['key: one\nb: "x"# c\n', 'one'],
    ['key: one\n  \nb: "x"# c\n', 'one'],
    ['key: one "two"\nb: "x"# c\n', 'one "two"'],
    ['key: \nb: "x"# c\n', ''],
    ['b: "x"# c\n', MISSING],
  ] as const) {
    t.equal(value(`pw\n---\n${part}`, 'key'), expected, part);
  }
  t.equal(value('pw\nkey: "above"\n---\nb: "x"# c\n', 'key'), '"above"', 'above it lines are lines');
  t.end();
});

t.test('a scalar of YAML that cannot be what it says is the text of its line, as gopass has it', (t) => {
  for (const text of ['!!binary "aGk*c2VjcmV0"', '!!binary aGk', '!!binary aGk=aGk=', '!!binary _-_-', '"\\ud800"']) {
    t.equal(value(`pw\n---\nkey: ${text}\n`, 'key'), text);
  }
  t.equal(value('pw\n---\nkey: !!binary |\n  aGkg\n  dGhlcmU=\n', 'key'), 'hi there');
  t.equal(value('pw\n---\nkey: !!binary ""\n', 'key'), '');
  t.equal(value('pw\n---\nkey: "\\ud83d\\ude00"\n', 'key'), '😀', 'a pair of surrogates is a character');
  t.end();
});

t.test('an entry of aliases of aliases is no expensive one', (t) => {
  const bomb = [
    'a: &a [x, x]',
    ...'bcdefghijklmnop'.split('').map((name, at) => bombLine(name, 'abcdefghijklmno'[at]!)),
  ];
  t.equal(value(`pw\n---\n${bomb.join('\n')}\nkey: value\n`, 'key'), 'value');
  t.equal(value(`pw\n---\n${bomb.join('\n')}\n`, 'p'), NOT_TEXT);
  t.end();
});

t.test('the entry is filled with zeros once a field has been taken out of it, or none', (t) => {
  for (const text of ['secret\nkey: secret\n', 'secret\n---\nkey: secret\nlist: [secret]\n']) {
    for (const field of ['password', 'key', 'list', 'absent']) {
      const entry = Buffer.from(text);
      valueOfEntry(entry, field);
      t.ok(
        entry.every((byte) => byte === 0),
        field,
      );
    }
  }
  t.end();
});

t.test('the entry is filled with zeros even where something throws', (t) => {
  const entry = Buffer.from('secret\nkey: secret\n');
  t.throws(() => valueOfEntry(entry, 3 as unknown as string), TypeError);
  t.ok(entry.every((byte) => byte === 0));
  t.end();
});

t.test('without a field the value is the entry itself: no copy of it is made', (t) => {
  const entry = Buffer.from('secret\n');
  const answer = valueOfEntry(entry, undefined);
  t.equal(answer.ok && answer.value.buffer, entry.buffer);
  t.end();
});

function bombLine(name: string, before: string): string {
  return `${name}: &${name} [*${before}, *${before}, *${before}, *${before}]`;
}
