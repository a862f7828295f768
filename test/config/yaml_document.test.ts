import fc from 'fast-check';
import t from 'tap';
import { parseYaml, type YamlDocument } from '../../src/config/yaml_document.js';

/** Null-prototype objects are not `same` as literals. */
function plain(document: YamlDocument): unknown {
  return document.data === undefined ? undefined : (JSON.parse(JSON.stringify(document.data)) as unknown);
}

/** `POINTER LINE:COLUMN message`. */
function problemsOf(text: string, section?: string): string[] {
  return parseYaml(text, section).problems.map(({ pointer, place, message }) =>
    `${pointer} ${place.line}:${place.column} ${message}`.trim(),
  );
}

function placeOf(text: string, pointer: string, at?: 'key'): string {
  const { line, column } = parseYaml(text).placeOf(pointer, at);
  return `${line}:${column}`;
}

const BAD_TAG = 'has a tag (!) that is unknown or does not fit; remove it, or put the value in quotes';
const TOO_DEEP = 'is nested too deeply; 100 levels are allowed';
const TOO_MUCH = 'is too much, with all that aliases (*) stand for; write it out';

// --- what is read

t.test('a document is read as plain data', (t) => {
  const document = parseYaml('a: {b: [1, two, true, null, ~, 0x10, 0o17, 1.5]}\nc:\n  - d: "e"\n');
  t.same(plain(document), { a: { b: [1, 'two', true, null, null, 16, 15, 1.5] }, c: [{ d: 'e' }] });
  t.same(document.problems, []);
  t.end();
});

t.test('it is YAML 1.2: yes, no, on and off are text, and so is a time', (t) => {
  t.same(plain(parseYaml('[yes, no, on, off, 12:30, 2001-01-01]')), ['yes', 'no', 'on', 'off', '12:30', '2001-01-01']);
  t.end();
});

t.test('a number with a leading zero is a decimal number', (t) => {
  t.same(plain(parseYaml('mode: 0600')), { mode: 600 });
  t.end();
});

t.test('an empty text is null', (t) => {
  for (const text of ['', '\n\n', '# a comment\n', '---\n', '%YAML 1.2\n---\n']) {
    t.match(parseYaml(text), { data: null, problems: [] }, JSON.stringify(text));
  }
  t.end();
});

t.test('keys without value are null', (t) => {
  t.same(plain(parseYaml('a:\nb: 1')), { a: null, b: 1 });
  t.same(plain(parseYaml('{a, b: 1}')), { a: null, b: 1 });
  t.same(plain(parseYaml('? a\n? b\n')), { a: null, b: null });
  t.end();
});

t.test('mappings have no prototype, so that every key is an own one', (t) => {
  const { data } = parseYaml('__proto__: 1\nconstructor: 2\n');
  t.equal(Object.getPrototypeOf(data), null);
  t.same(Object.entries(data as object), [
    ['__proto__', 1],
    ['constructor', 2],
  ]);
  t.end();
});

t.test('both line endings are read', (t) => {
  t.same(plain(parseYaml('a: 1\r\nb: |\r\n  x\r\n  y\r\n')), { a: 1, b: 'x\ny\n' });
  t.end();
});

t.test('a document may begin with --- and end with ...', (t) => {
  t.same(plain(parseYaml('---\na: 1\n...\n')), { a: 1 });
  t.end();
});

t.test('a closing bracket may stand as far left as its key', (t) => {
  const document = parseYaml('p:\n  allowed: [\n    a,\n  ]\n');
  t.same(plain(document), { p: { allowed: ['a'] } });
  t.same(document.problems, []);
  t.end();
});

t.test('all that is JSON is read as what it is', (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value);
      const document = parseYaml(text);
      t.same(document.problems, [], text);
      t.equal(JSON.stringify(document.data), text);
    }),
    { numRuns: 200 },
  );
  t.end();
});

// --- what is not YAML

t.test('text that is no YAML is told with its place and with what to do', (t) => {
  for (const [text, ...expected] of [
    [
      'a: "x\n',
      '2:1 is not valid YAML: something is missing: the ": " after a key, a closing quote or bracket, a comma or a space',
    ],
    [
      'a: 1\nb\nc: 2\n',
      '2:1 is not valid YAML: something is missing: the ": " after a key, a closing quote or bracket, a comma or a space',
    ],
    ['a:\n  b: 1\n c: 2\n', '3:1 is not valid YAML: wrong indentation, or a "]" or "}" is missing before'],
    ['a:\n\tb: 1\n', '2:1 is not valid YAML: a tab in the indentation; use spaces'],
    ['a: b: c\n', '1:4 is not valid YAML: a value that holds ": " must be in quotes'],
    ['a: @x\n', '1:4 is not valid YAML: a value that begins with this character must be in quotes'],
    [
      'a: "\\q"\n',
      '1:5 is not valid YAML: an unknown escape in double quotes; write \\\\ for a backslash, or use single quotes',
    ],
    ['a: *\n', '1:4 is not valid YAML: a value that begins with "*" must be in quotes'],
    ['a: [*]\n', '1:5 is not valid YAML: a value that begins with "*" must be in quotes'],
    ['a: ]\n', '1:4 is not valid YAML: something that cannot stand here'],
    ['%FOO x\n---\na: 1\n', '1:1 is not valid YAML: a line that begins with "%" is not understood; remove it'],
    ['%YAML 1.3\n---\na: 1\n', '1:7 is not valid YAML: a line that begins with "%" is not understood; remove it'],
    ['a: !e!x 1\n', '1:4 is not valid YAML: an unknown tag (!); remove it, or put the value in quotes'],
    ['a: &x &y 1\n', '1:7 is not valid YAML: multiple anchors'],
  ] as const) {
    t.same(problemsOf(text), expected, JSON.stringify(text));
    t.equal(parseYaml(text).data, undefined);
  }
  t.end();
});

t.test('every syntax error is told', (t) => {
  t.same(
    problemsOf('a: @x\nb: `y\n').map((problem) => problem.split(' ')[0]),
    ['1:4', '2:4'],
  );
  t.end();
});

t.test('YAML 1.1 is not read, as it means other things by the same text', (t) => {
  t.same(problemsOf('%YAML 1.1\n---\na: no\n'), ['1:1 must be YAML 1.2; remove the %YAML line']);
  t.equal(parseYaml('%YAML 1.1\n---\na: no\n').data, undefined);
  t.same(plain(parseYaml('%YAML 1.2\n---\na: no\n')), { a: 'no' });
  t.end();
});

t.test('a file has one document', (t) => {
  for (const [text, place] of [
    ['a: 1\n---\nb: 2\n', '2:1'],
    ['a: 1\n---\n', '2:1'],
    ['--- a\n--- b\n--- c\n', '2:1'],
    ['a: 1\n...\nb: 2\n', '3:1'],
  ] as const) {
    t.same(problemsOf(text), [
      `${place} begins a second YAML document; a file has one: remove the "---" or "..." before it`,
    ]);
    t.equal(parseYaml(text).data, undefined);
  }
  t.end();
});

// --- what is YAML and not for a configuration

t.test('a key that is there twice is told with both its lines, and the first counts', (t) => {
  const text = 'a: 1\nb:\n  c: 1\n  d: 2\n  "c": 3\na: 2\n';
  t.same(problemsOf(text), ['/b/c 5:3 is there twice, first in line 3', '/a 6:1 is there twice, first in line 1']);
  t.same(plain(parseYaml(text)), { a: 1, b: { c: 1, d: 2 } });
  t.end();
});

t.test('a key that is no string is told at its mapping', (t) => {
  for (const key of ['1', 'true', '~', '1.5', '[a]', '{a: b}', '? ']) {
    t.same(
      problemsOf(`refs:\n  ${key}: x\n`).map((problem) => problem.replace(/\d+:\d+/, 'L:C')),
      ['/refs L:C has a key that is no string; put it in quotes'],
      key,
    );
  }
  t.same(problemsOf('a: &x b\n*x : 1\n'), ['2:1 has a key that is no string; put it in quotes']);
  t.same(problemsOf('!foo a: 1\n'), ['1:6 has a key that is no string; put it in quotes']);
  t.end();
});

t.test('<<, which would merge in YAML 1.1, is a key like others', (t) => {
  t.same(plain(parseYaml('a: &x {b: 1}\nc:\n  <<: *x\n')), { a: { b: 1 }, c: { '<<': { b: 1 } } });
  t.end();
});

t.test('tags of the core schema may stand before what they mean', (t) => {
  const document = parseYaml(
    '{a: !!str 5, b: !!int 5, c: !!float 1.5, d: !!bool true, e: !!null null, f: !!map {}, g: !!seq [], h: ! 5, !!str i: 1}',
  );
  t.same(document.problems, []);
  t.same(plain(document), { a: '5', b: 5, c: 1.5, d: true, e: null, f: {}, g: [], h: '5', i: 1 });
  t.end();
});

t.test('other tags are told, and what they stand before is read as if they were not there', (t) => {
  for (const [text, data] of [
    ['!foo b', 'b'],
    ['!!binary aGVsbG8=', 'aGVsbG8='],
    ['!!timestamp 2001-01-01', '2001-01-01'],
    ['!!int foo', 'foo'],
    ['!!str {x: 1}', { x: 1 }],
    ['!!map foo', 'foo'],
    ['!!set {x}', { x: null }],
    ['!!omap [x: 1]', [{ x: 1 }]],
    ['!!pairs [x: 1]', [{ x: 1 }]],
    ['!!merge x', 'x'],
    ['!<tag:example.org,2000:x> y', 'y'],
  ] as const) {
    const document = parseYaml(`a: ${text}\n`);
    t.match(document.problems, [{ pointer: '/a', message: BAD_TAG }], text);
    t.same(plain(document), { a: data }, text);
  }
  t.end();
});

// --- aliases

t.test('an alias is what its anchor stands at', (t) => {
  const document = parseYaml('a: &x {b: [1]}\nc: *x\nd: [*x, *x]\n&k e: *k\n');
  t.same(document.problems, []);
  const x = { b: [1] };
  t.same(plain(document), { a: x, c: x, d: [x, x], e: 'e' });
  t.end();
});

t.test('an anchor that is there twice counts from where it stands', (t) => {
  t.same(plain(parseYaml('[&x 1, *x, &x 2, *x]')), [1, 1, 2, 2]);
  t.end();
});

t.test('an alias without anchor is told', (t) => {
  for (const text of ['a: *x\n', 'a: *x\nb: &x 1\n']) {
    const document = parseYaml(text);
    t.same(problemsOf(text), ['/a 1:4 is an alias (*) without an anchor (&) before it']);
    t.ok(document.isUnread('/a'));
    t.notOk(document.isUnread('/b'));
  }
  t.end();
});

t.test('an alias of something that contains it is told', (t) => {
  const message = 'is an alias (*) of something that contains it';
  t.same(problemsOf('a: &x [*x]\n'), [`/a/0 1:8 ${message}`]);
  t.same(problemsOf('a: &x {b: {c: *x}}\n'), [`/a/b/c 1:15 ${message}`]);
  t.same(problemsOf('a: &x [&y [*x], *y]\n'), [`/a/0/0 1:12 ${message}`, `/a/1/0 1:12 ${message}`]);
  t.ok(parseYaml('a: &x [*x]\n').isUnread('/a/0'));
  t.end();
});

t.test('an alias bomb is told once, and the rest of the file is still read', (t) => {
  const bomb = ['l0: &l0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level <= 9; level += 1) {
    bomb.push(`l${level}: &l${level} [${Array.from({ length: 10 }, () => `*l${level - 1}`).join(', ')}]`);
  }
  const document = parseYaml([...bomb, 'good: 1', 'bad: *nothing'].join('\n'));
  t.same(
    document.problems.map(({ message }) => message),
    [TOO_MUCH, 'is an alias (*) without an anchor (&) before it'],
  );
  t.match(document.data, { good: 1 });
  t.end();
});

t.test('aliases may stand for a hundred thousand nodes', (t) => {
  const list = `list: &l [${Array.from({ length: 999 }, () => 'x').join(', ')}]\n`;
  const uses = (count: number): string => `${list}uses: [${Array.from({ length: count }, () => '*l').join(', ')}]\n`;
  t.same(problemsOf(uses(100)), []);
  t.same(
    problemsOf(uses(101)).map((problem) => problem.replace(/^\S+ \S+ /, '')),
    [TOO_MUCH],
  );
  t.end();
});

t.test('a chain of aliases is bounded in its depth', (t) => {
  const chain = ['- &a0 [x]'];
  for (let link = 1; link <= 5_000; link += 1) chain.push(`- &a${link} [*a${link - 1}]`);
  const messages = new Set(parseYaml(chain.join('\n')).problems.map(({ message }) => message));
  t.same([...messages], [TOO_DEEP, TOO_MUCH]);
  t.end();
});

t.test('deep nesting is told, not followed', (t) => {
  for (const text of ['['.repeat(100_000), '{a: '.repeat(100_000), '- '.repeat(100_000)]) {
    const document = parseYaml(text);
    t.match(document, { data: undefined, problems: [{ pointer: '', message: TOO_DEEP }] });
  }
  t.end();
});

// --- places

t.test('a scalar stands where it does, a mapping or list where its key does', (t) => {
  const text = 'a:\n  b:   1\n  c:\n    - x\n    -   y\n  d: {e: f}\n';
  for (const [pointer, place] of [
    ['', '1:1'],
    ['/a', '1:1'],
    ['/a/b', '2:8'],
    ['/a/c', '3:3'],
    ['/a/c/0', '4:7'],
    ['/a/c/1', '5:9'],
    ['/a/d', '6:3'],
    ['/a/d/e', '6:10'],
  ] as const) {
    t.equal(placeOf(text, pointer), place, pointer);
  }
  t.end();
});

t.test('at the key, everything stands where its key does', (t) => {
  const text = 'a:\n  b:   1\n';
  t.equal(placeOf(text, '/a/b', 'key'), '2:3');
  t.equal(placeOf(text, '/a/missing', 'key'), '1:1');
  t.equal(placeOf(text, '', 'key'), '1:1');
  t.end();
});

t.test("what is missing stands at its parent's place", (t) => {
  const text = '# a comment\nfirst: 1\na:\n  b:\n    c: 1\nl:\n  - {x: 1}\n';
  t.equal(placeOf(text, '/a/b/missing'), '4:3');
  t.equal(placeOf(text, '/a/missing/too'), '3:1');
  t.equal(placeOf(text, '/missing'), '2:1');
  t.equal(placeOf(text, '/l/0/missing'), '7:5');
  t.equal(placeOf('', '/missing'), '1:1');
  t.end();
});

t.test('an empty value stands at its key', (t) => {
  t.equal(placeOf('x: 1\na:\n', '/a'), '2:1');
  t.equal(placeOf('{x: 1, a}', '/a'), '1:8');
  t.equal(placeOf('a: ""', '/a'), '1:4');
  t.equal(placeOf('a: ~', '/a'), '1:4');
  t.end();
});

t.test('an alias stands where it does, and what is in it where it is written', (t) => {
  const text = 'a: &x\n  b: 1\nc:   *x\n';
  t.equal(placeOf(text, '/c'), '3:6');
  t.equal(placeOf(text, '/c/b'), '2:6');
  t.equal(placeOf(text, '/c/missing'), '3:6');
  t.end();
});

t.test('columns are counted in UTF-16 units from 1', (t) => {
  t.equal(placeOf('{"é😀": x}', '/é😀'), '1:9');
  t.end();
});

t.test('a key with a slash or a tilde has its place', (t) => {
  t.equal(placeOf('x: 1\n"a/b~c": 2\n', '/a~1b~0c', 'key'), '2:1');
  t.end();
});

// --- a section of a larger file

t.test('with a section only that key is read, as the rest belongs to others', (t) => {
  const text = 'other: {1: x, a: 1, a: 2, b: *nothing, c: !foo d}\n2: x\nother: again\nmine: {a: *z, a: 2}\n';
  const document = parseYaml(text, 'mine');
  t.same(Object.entries(document.data as object), [
    ['other', undefined],
    ['mine', { a: undefined }],
  ]);
  t.same(problemsOf(text, 'mine'), [
    '/mine/a 4:11 is an alias (*) without an anchor (&) before it',
    '/mine/a 4:15 is there twice, first in line 4',
  ]);
  t.end();
});

t.test('a section may have aliases of what stands before it', (t) => {
  const document = parseYaml('shared: &s [a]\nmine: {list: *s}\n', 'mine');
  t.same(plain(document), { mine: { list: ['a'] } });
  t.end();
});

t.test('only the root has sections', (t) => {
  t.same(plain(parseYaml('mine: {a: {mine: 1, other: 2}}\n', 'mine')), { mine: { a: { mine: 1, other: 2 } } });
  t.end();
});

// --- any text

t.test('reading never throws, gives places from 1:1 on, and quotes nothing', (t) => {
  const canary = 'CaNaRy';
  const snippet = fc.constantFrom(
    ...[
      'a',
      canary,
      ': ',
      ':',
      '- ',
      '? ',
      '\n',
      '\n  ',
      '\t',
      ' ',
      '[',
      ']',
      '{',
      '}',
      ',',
      '"',
      "'",
      '#',
      '&a ',
      '*a',
    ],
    ...[
      '!',
      '!!str ',
      '!!int ',
      '|',
      '>',
      '%',
      '@',
      '`',
      '---\n',
      '...\n',
      '<<: ',
      '~',
      '1',
      '\\',
      '\r\n',
      '\u0000',
      '\ufeff',
    ],
  );
  const text = fc.oneof(
    fc.array(snippet, { maxLength: 40 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 60 }),
  );
  fc.assert(
    fc.property(text, fc.option(fc.constantFrom('a', canary), { nil: undefined }), (written, section) => {
      const { problems, data } = parseYaml(written, section);
      for (const { place, message } of problems) {
        if (place.line < 1 || place.column < 1) return false;
        if (message.includes(canary)) return false;
      }
      return data !== undefined || problems.length > 0;
    }),
    { numRuns: 3_000 },
  );
  t.end();
});
