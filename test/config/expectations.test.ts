import { join } from 'node:path';
import t from 'tap';
import { loadExpectations } from '../../src/config/expectations.js';
import { complaintsOf } from '../support/config_files.js';
import { type Ending, temporaryFolder, writeFile } from '../support/temporary.js';

function fileOf(t: Ending, text: string): string {
  return writeFile(temporaryFolder(t), 'expect.yaml', text);
}

function complaints(t: Ending, text: string): string[] {
  const file = fileOf(t, text);
  return complaintsOf(() => loadExpectations(file)).map((line) => line.replace(/^.*\/(?=expect\.yaml)/, ''));
}

t.test('each name of each list is an expectation, with its place', (t) => {
  const file = fileOf(
    t,
    'marketdata:\n  allow: [api_key, other]\n  deny:\n    - master_key\nresearch: { deny: [api_key] }\nidle: {}\n',
  );
  t.same(loadExpectations(file), [
    { principal: 'marketdata', secret: 'api_key', decision: 'allowed', place: `${file}:2` },
    { principal: 'marketdata', secret: 'other', decision: 'allowed', place: `${file}:2` },
    { principal: 'marketdata', secret: 'master_key', decision: 'denied', place: `${file}:4` },
    { principal: 'research', secret: 'api_key', decision: 'denied', place: `${file}:5` },
  ]);
  t.same(loadExpectations(fileOf(t, '{}')), []);
  t.end();
});

t.test('every problem is told at once, with its place', (t) => {
  t.same(
    complaints(
      t,
      `marketdata:
  alow: [api_key]
  deny: api_key
Research:
  allow: [api_key, api_key]
research:
  allow: [api_key, Other, api_key]
  deny: [api_key]
execution: []
operator:
`,
    ),
    [
      'expect.yaml:2:3: marketdata.alow: is an unknown key; did you mean "allow"?',
      'expect.yaml:3:9: marketdata.deny: must be a list',
      'expect.yaml:4:1: Research: is no role: it must be a lower-case letter, then lower-case letters, digits and underscores, 128 characters at most',
      'expect.yaml:5:20: Research.allow[1]: is the same secret as allow[0]',
      'expect.yaml:7:20: research.allow[1]: must be a lower-case letter, then lower-case letters, digits and underscores, 128 characters at most',
      'expect.yaml:7:27: research.allow[2]: is the same secret as allow[0]',
      'expect.yaml:8:10: research.deny[0]: is the same secret as allow[0]',
      'expect.yaml:9:1: execution: must be a mapping',
      'expect.yaml:10:1: operator: is empty: it must be a mapping',
    ],
  );
  t.same(complaints(t, 'a:\n  allow: [b, c, b]\n  deny: [c]\n'), [
    'expect.yaml:2:17: a.allow[2]: is the same secret as allow[0]',
    'expect.yaml:3:10: a.deny[0]: is the same secret as allow[1]',
  ]);
  t.end();
});

t.test('a file that is no mapping is refused', (t) => {
  t.same(complaints(t, ''), ['expect.yaml:1:1: is empty: it must be a mapping of roles, each with allow and deny']);
  t.same(complaints(t, '[a]'), ['expect.yaml:1:1: must be a mapping of roles, each with allow and deny']);
  t.match(complaints(t, 'a: ['), [/^expect\.yaml:1:\d+: is not valid YAML/]);
  t.end();
});

t.test('a file that cannot be read is refused', (t) => {
  const file = join(temporaryFolder(t), 'expect.yaml');
  t.same(
    complaintsOf(() => loadExpectations(file)),
    [`${file}: cannot be read: no such file or directory (ENOENT)`],
  );
  t.end();
});
