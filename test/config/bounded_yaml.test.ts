import t from 'tap';
import { LineCounter } from 'yaml';
import { MAX_YAML_DEPTH, readYamlDocuments } from '../../src/config/bounded_yaml.js';

t.test('the documents of a text come in their order', (t) => {
  const read = readYamlDocuments('a: 1\n---\nb: 2\n');
  t.ok('documents' in read);
  if ('documents' in read)
    t.same(
      read.documents.map((document) => document.toJS() as unknown),
      [{ a: 1 }, { b: 2 }],
    );
  t.end();
});

t.test('an empty text is one empty document', (t) => {
  const read = readYamlDocuments('');
  t.ok('documents' in read);
  if ('documents' in read)
    t.same(
      read.documents.map(({ contents }) => contents),
      [null],
    );
  t.end();
});

t.test('collections may be nested up to the bound', (t) => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  t.ok('documents' in readYamlDocuments(nested(MAX_YAML_DEPTH)));
  t.ok('tooDeepAt' in readYamlDocuments(nested(MAX_YAML_DEPTH + 2)));
  t.end();
});

t.test('what is nested more deeply is refused before it exhausts the stack', (t) => {
  for (const [what, text] of [
    ['lists in brackets', '['.repeat(200_000)],
    ['mappings in braces', '{a: '.repeat(200_000)],
    ['both', '[{a: '.repeat(100_000)],
    ['lists of lines', '- '.repeat(100_000)],
    ['mappings of lines', Array.from({ length: 2_000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
    ['explicit keys', '? '.repeat(100_000)],
  ] as const) {
    const read = readYamlDocuments(text);
    t.ok('tooDeepAt' in read && read.tooDeepAt < 10_000, what);
  }
  t.end();
});

t.test('a text has at most the tokens that were allowed', (t) => {
  const text = 'a: 1\n'.repeat(100);
  t.ok('documents' in readYamlDocuments(text, { maxTokens: 1_000 }));
  const read = readYamlDocuments(text, { maxTokens: 100 });
  t.ok('tooDeepAt' in read && read.tooDeepAt < 200);
  t.end();
});

t.test('every scalar of the failsafe schema is the text that stands there', (t) => {
  const read = readYamlDocuments('[0123, ~, !!timestamp 2026-01-01, !!merge <<]', { schema: 'failsafe' });
  t.ok('documents' in read);
  if ('documents' in read) t.same(read.documents[0]?.toJS(), ['0123', '~', '2026-01-01', '<<']);
  t.end();
});

t.test('lines are counted up to where the text is nested too deeply', (t) => {
  const lines = new LineCounter();
  const read = readYamlDocuments(`a: 1\nb: ${'['.repeat(200)}`, { lines });
  t.ok('tooDeepAt' in read);
  if ('tooDeepAt' in read) t.match(lines.linePos(read.tooDeepAt), { line: 2 });
  t.end();
});
