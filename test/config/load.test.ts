import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import t from 'tap';
import { BACKENDS } from '../../src/backends/table.js';
import { loadConfiguration } from '../../src/config/load.js';
import { ConfigError } from '../../src/config/problems.js';
import { complaints, complaintsOf, configError, LAUNCH, load, SECRETS, writeConfig } from '../support/config_files.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

// --- what is loaded

const BACKEND_NAMES = [...BACKENDS.keys()].join(', ');

t.test('both files make one configuration', (t) => {
  const { folder, launchFile } = writeConfig(t);
  const before = Date.now();
  const { identity, socket, logLevel, registries, digest, loadedAt } = loadConfiguration(launchFile);
  t.same(identity, { machine: 'bridge', environment: 'dev', role: 'marketdata' });
  t.same(socket, { path: join(folder, 's.sock'), mode: 0o600 });
  t.equal(logLevel, 'info');
  t.same(registries.refs.names(), ['databento_api_key']);
  t.match(digest, /^[0-9a-f]{64}$/);
  t.ok(loadedAt.getTime() >= before && loadedAt.getTime() <= Date.now());
  t.end();
});

t.test('the digest is that of both files, and of nothing else', (t) => {
  const { digest } = load(t);
  t.equal(load(t).digest, digest, 'where the files stand does not matter');
  t.not(load(t, { launch: `${LAUNCH}# x\n` }).digest, digest);
  t.not(load(t, { secrets: `${SECRETS}# x\n` }).digest, digest);
  t.not(load(t, { launch: `${LAUNCH}#`, secrets: `\n${SECRETS}` }).digest, load(t, { launch: `${LAUNCH}#\n` }).digest);
  t.end();
});

t.test('a byte order mark and CRLF change nothing', (t) => {
  const { registries } = load(t, {
    launch: `\ufeff${LAUNCH.replaceAll('\n', '\r\n')}`,
    secrets: `\ufeff${SECRETS.replaceAll('\n', '\r\n')}`,
  });
  t.same(registries.refs.names(), ['databento_api_key']);
  t.end();
});

t.test('a launch file that is named relative to the working directory names its files so', (t) => {
  const { launchFile, secretsFile } = writeConfig(t, { secrets: 'stores: {}\nrefs: {}\n' });
  t.same(
    complaintsOf(() => loadConfiguration(relative(process.cwd(), launchFile))),
    [`${relative(process.cwd(), secretsFile)}:1:1: policies: is missing; write {} where there is nothing`],
  );
  t.end();
});

t.test('aliases may be shared by policies', (t) => {
  const { registries } = load(t, {
    secrets:
      'stores: {}\nrefs: {}\npolicies:\n  a: &team {allowed_principals: &list [x, y]}\n  b: *team\n  c:\n    allowed_principals: *list\n',
  });
  for (const name of ['a', 'b', 'c']) t.same(registries.policies.get(name)?.allowedPrincipals, ['x', 'y']);
  t.end();
});

t.test('a ref may be named constructor', (t) => {
  const { registries } = load(t, { secrets: SECRETS.replace('databento_api_key:', 'constructor:') });
  t.equal(registries.refs.get('constructor')?.store, 'red');
  t.end();
});

t.test('a store has the folder of the secrets file, absolute, as it was named', (t) => {
  const folder = temporaryFolder(t);
  writeFile(folder, 'sub/s.yaml', SECRETS);
  const launchFile = writeFile(folder, 'launch.yaml', LAUNCH.replace('secrets.yaml', 'sub/s.yaml'));
  const { registries } = loadConfiguration(relative(process.cwd(), launchFile));
  t.equal(registries.stores.get('red')?.folder, join(folder, 'sub'));
  t.end();
});

// --- errors and their places

t.test('an error has the file, line, column and key path', (t) => {
  const { folder, launchFile, secretsFile } = writeConfig(t, { secrets: SECRETS.replace('gopass', 'gopas') });
  const error = configError(() => loadConfiguration(launchFile));
  const message = `must be one of ${BACKEND_NAMES}; did you mean "gopass"?`;
  t.same(error?.problems, [{ file: secretsFile, line: 3, column: 14, path: 'stores.red.backend', message }]);
  t.equal(error?.message, `${folder}/secrets.yaml:3:14: stores.red.backend: ${message}`);
  t.end();
});

t.test('every error of both files is told at once, the launch file first, by line and column', (t) => {
  const lines = complaints(t, {
    launch: `socket:
  path: s.sock
  mode: 0600
  mod: x
secrets: secrets.yaml
identity:
  role: Marketdata
  machine: bridge
extra: {}
`,
    secrets: `policies:
  open: {allowed_principals: [a, b, a]}
  "": 1
refs:
  api_key:
    store: rde
    path: /a
  other: {store: red, path: a//b, policy: opne, field: ' '}
  third: 5
stores:
  red: {root: a/.., backend: gopass, binary: gopass}
  blue:
`,
  });
  t.same(lines, [
    'launch.yaml:3:9: socket.mode: must be in quotes, as "0600": a bare number is not read as octal',
    'launch.yaml:4:3: socket.mod: is an unknown key; did you mean "mode"?',
    'launch.yaml:6:1: identity.environment: is missing: the environment this runs in: dev, prod, …',
    'launch.yaml:7:9: identity.role: must be a lower-case letter, then lower-case letters, digits and underscores, 128 characters at most',
    'launch.yaml:9:1: extra: is an unknown key; known here: identity, secrets, secrets_section, socket, limits, log, idle_exit_s',
    'secrets.yaml:2:37: policies.open.allowed_principals[2]: is the same principal as [0]',
    'secrets.yaml:3:3: policies."": is no name: it must be a lower-case letter, then lower-case letters, digits and underscores, 128 characters at most',
    'secrets.yaml:3:7: policies."": must be a mapping',
    'secrets.yaml:5:3: refs.api_key.policy: is missing: the name of a policy',
    'secrets.yaml:6:12: refs.api_key.store: "rde" is no store; did you mean "red"?',
    'secrets.yaml:7:11: refs.api_key.path: must be relative: it begins with "/"',
    'secrets.yaml:8:29: refs.other.path: must not have an empty, "." or ".." segment',
    'secrets.yaml:8:43: refs.other.policy: "opne" is no policy; did you mean "open"?',
    'secrets.yaml:8:56: refs.other.field: must not be empty, have white space around it or hold a control character',
    'secrets.yaml:9:10: refs.third: must be a mapping',
    'secrets.yaml:11:15: stores.red.root: must not have an empty, "." or ".." segment',
    'secrets.yaml:11:46: stores.red.binary: must be an absolute path, without white space around it and without control characters',
    'secrets.yaml:12:3: stores.blue: is empty: it must be a mapping',
  ]);
  t.end();
});

t.test("a missing key stands at its parent's place", (t) => {
  t.same(complaints(t, { launch: `# first\n\n${LAUNCH.replace('secrets: secrets.yaml\n', '')}` }), [
    'launch.yaml:3:1: secrets: is missing: the secrets file; relative to this file',
  ]);
  t.same(complaints(t, { secrets: SECRETS.replace('    root: mxm/red\n', '') }), [
    'secrets.yaml:2:3: stores.red.root: is missing: what every path of this store begins with',
  ]);
  t.same(complaints(t, { secrets: SECRETS.replace('stores:', 'sotres:') }), [
    'secrets.yaml:1:1: sotres: is an unknown key; did you mean "stores"?',
    'secrets.yaml:1:1: stores: is missing; write {} where there is nothing',
  ]);
  t.end();
});

t.test('two errors of one place are both told', (t) => {
  const secrets =
    'stores: {dev: {backend: env, root: x}}\nrefs: {a: {store: dev, path: a..//b, policy: p}}\npolicies: {p: {allowed_principals: []}}\n';
  t.same(complaints(t, { secrets }), [
    'secrets.yaml:2:30: refs.a.path: must not have an empty, "." or ".." segment',
    'secrets.yaml:2:30: refs.a.path: may hold only A-Z, a-z, 0-9, "_", "-" and "/", as it names a variable',
  ]);
  t.end();
});

t.test('an empty file is told to be empty', (t) => {
  t.same(complaints(t, { launch: '' }), ['launch.yaml:1:1: is empty: it must be a mapping']);
  for (const secrets of ['', '# nothing yet\n', '---\n']) {
    t.match(complaints(t, { secrets }), [
      /^secrets\.yaml:\d:\d: is empty: it must be a mapping with the sections stores, refs, policies$/,
    ]);
  }
  t.end();
});

t.test('a file that is no mapping is told to be none', (t) => {
  t.same(complaints(t, { launch: '- a\n' }), ['launch.yaml:1:1: must be a mapping']);
  t.same(complaints(t, { secrets: 'text\n' }), [
    'secrets.yaml:1:1: must be a mapping with the sections stores, refs, policies',
  ]);
  t.end();
});

// --- YAML

t.test('a file that is no YAML is told where, and the launch file is judged whatever the secrets file is', (t) => {
  t.same(complaints(t, { launch: LAUNCH.replace('dev', '[dev'), secrets: '' }), [
    'launch.yaml:4:3: is not valid YAML: wrong indentation, or a "]" or "}" is missing before',
  ]); // which secrets file it names is not known then
  t.same(complaints(t, { launch: LAUNCH.replace('dev', '7'), secrets: SECRETS.replace('  red:', '\tred:') }), [
    'launch.yaml:3:16: identity.environment: must be a string, not a bare number: put it in quotes',
    'secrets.yaml:2:1: is not valid YAML: a tab in the indentation; use spaces',
  ]);
  t.end();
});

t.test('what YAML allows and a configuration does not is told with its key path', (t) => {
  const line = (text: string): string => SECRETS.replace('    store: red\n', `    store: red\n    ${text}\n`);
  for (const [secrets, ...expected] of [
    [line('store: blue'), '8:5: refs.databento_api_key.store: is there twice, first in line 7'],
    [
      line('<<: {policy: p}'),
      '8:5: refs.databento_api_key.<<: is an unknown key: merge keys are not read; write the keys out',
    ],
    [line('field: *nothing'), '8:12: refs.databento_api_key.field: is an alias (*) without an anchor (&) before it'],
    [
      line('field: !secret x'),
      '8:20: refs.databento_api_key.field: has a tag (!) that is unknown or does not fit; remove it, or put the value in quotes',
    ],
    [line('7: x'), '8:5: refs.databento_api_key: has a key that is no string; put it in quotes'],
    [`%YAML 1.1\n---\n${SECRETS}`, '1:1: must be YAML 1.2; remove the %YAML line'],
    [
      `${SECRETS}---\n${SECRETS}`,
      '13:1: begins a second YAML document; a file has one: remove the "---" or "..." before it',
    ],
    [
      SECRETS.replace('marketdata, research', '&l marketdata, *l'),
      '12:41: policies.marketdata_access.allowed_principals[1]: is the same principal as [0]',
    ],
    [
      SECRETS.replace('[marketdata, research]', '&l [*l]'),
      '12:29: policies.marketdata_access.allowed_principals[0]: is an alias (*) of something that contains it',
    ],
    [
      SECRETS.replace('marketdata, research', '['.repeat(5_000)),
      '12:124: is nested too deeply; 100 levels are allowed',
    ],
  ] as const) {
    t.same(
      complaints(t, { secrets }),
      expected.map((problem) => `secrets.yaml:${problem}`),
    );
  }
  t.end();
});

t.test('an alias bomb is told and not expanded', (t) => {
  const bomb = ['  l0: &l0 {allowed_principals: [x, x, x, x, x, x, x, x, x, x]}'];
  for (let level = 1; level <= 12; level += 1) {
    const uses = Array.from({ length: 10 }, () => `*l${level - 1}`).join(', ');
    bomb.push(`  l${level}: &l${level} {allowed_principals: [${uses}]}`);
  }
  const lines = complaints(t, { secrets: `stores: {}\nrefs: {}\npolicies:\n${bomb.join('\n')}\n` });
  t.equal(lines.filter((line) => line.includes('aliases (*) stand for')).length, 1);
  t.ok(lines.length < 1_000);
  t.end();
});

t.test('what could not be read is not blamed for being absent as well', (t) => {
  t.same(
    complaints(t, {
      launch: LAUNCH.replace('marketdata', '*role'),
      secrets: 'stores: *a\nrefs: {a: *b}\npolicies: {}\n',
    }),
    [
      'launch.yaml:4:9: identity.role: is an alias (*) without an anchor (&) before it',
      'secrets.yaml:1:9: stores: is an alias (*) without an anchor (&) before it',
      'secrets.yaml:2:11: refs.a: is an alias (*) without an anchor (&) before it',
    ],
  );
  t.same(complaints(t, { launch: '*all' }), ['launch.yaml:1:1: is an alias (*) without an anchor (&) before it']);
  t.same(complaints(t, { launch: `${LAUNCH}secrets_section: *x\n`, secrets: '' }), [
    'launch.yaml:8:18: secrets_section: is an alias (*) without an anchor (&) before it',
  ]);
  t.end();
});

t.test('an audit file that is one of the two files is told beside all else that is wrong', (t) => {
  const launch = `${LAUNCH.replace('secrets: secrets.yaml\n', '')}log: { audit_file: launch.yaml }\n`;
  t.same(complaints(t, { launch }), [
    'launch.yaml:1:1: secrets: is missing: the secrets file; relative to this file',
    'launch.yaml:7:20: log.audit_file: is the launch file itself: name another',
  ]);
  t.same(complaints(t, { launch: `${LAUNCH}log: { audit_file: secrets.yaml }\n`, secrets: 'stores: {}\nrefs: {}\n' }), [
    'launch.yaml:8:20: log.audit_file: is the secrets file itself: name another',
    'secrets.yaml:1:1: policies: is missing; write {} where there is nothing',
  ]);
  t.end();
});

// --- files

t.test('a file that cannot be read is told by its name alone', (t) => {
  const { folder, launchFile, secretsFile } = writeConfig(t);
  rmSync(secretsFile);
  const loading = (): string[] =>
    complaintsOf(() => loadConfiguration(launchFile)).map((line) => line.replace(`${folder}/`, ''));
  t.same(loading(), ['secrets.yaml: cannot be read: no such file or directory (ENOENT)']);
  mkdirSync(secretsFile);
  t.same(loading(), ['secrets.yaml: is a folder, not a file']);
  rmSync(secretsFile, { recursive: true });
  execFileSync('mkfifo', [secretsFile]);
  t.same(loading(), ['secrets.yaml: is no regular file']);
  rmSync(launchFile);
  t.same(loading(), ['launch.yaml: cannot be read: no such file or directory (ENOENT)']);
  t.same(configError(() => loadConfiguration(launchFile))?.problems, [
    { file: launchFile, path: '', message: 'cannot be read: no such file or directory (ENOENT)' },
  ]);
  t.end();
});

t.test('a file that cannot be read does not hide the errors of the other', (t) => {
  const { folder, launchFile, secretsFile } = writeConfig(t, {
    launch: `${LAUNCH}debug: 1\n`,
    secrets: Buffer.of(0xff),
  });
  chmodSync(secretsFile, 0o606);
  t.same(
    complaintsOf(() => loadConfiguration(launchFile)).map((line) => line.replace(`${folder}/`, '')),
    [
      'launch.yaml:8:1: debug: is an unknown key; known here: identity, secrets, secrets_section, socket, limits, log, idle_exit_s',
      'secrets.yaml: may be written by everybody: chmod o-w it',
    ],
  );
  t.end();
});

t.test('everything that is wrong with a file as such is told', (t) => {
  const { folder, launchFile } = writeConfig(t);
  chmodSync(launchFile, 0o606);
  chmodSync(folder, 0o707);
  t.same(
    complaintsOf(() => loadConfiguration(launchFile)),
    [
      `${launchFile}: may be written by everybody: chmod o-w it`,
      `${launchFile}: stands in a folder that everybody may write (${folder}): it could be replaced; chmod o-w the folder`,
    ],
  );
  t.end();
});

t.test('a secrets file that is not UTF-8 is told', (t) => {
  t.same(complaints(t, { secrets: Buffer.from(`${SECRETS}# ma\xdfe\n`, 'latin1') }), [
    'secrets.yaml: is not UTF-8 text (line 13)',
  ]);
  t.end();
});

t.test('files may be symlinks', (t) => {
  const { launchFile, secretsFile } = writeConfig(t);
  const folder = temporaryFolder(t);
  symlinkSync(launchFile, join(folder, 'role.yaml'));
  symlinkSync(secretsFile, join(folder, basename(secretsFile)));
  const { socket } = loadConfiguration(join(folder, 'role.yaml'));
  t.equal(socket.path, join(folder, 's.sock'), 'paths are relative to the file as it was named');
  t.end();
});

// --- a section of a larger file

const LARGER = `other: {1: x, a: !vault b, c: *d}
mxm_secrets:
${SECRETS.replace(/^/gm, '  ').trimEnd()}
`;
const IN_SECTION = `${LAUNCH}secrets_section: mxm_secrets\n`;

t.test('the sections may stand under a key of a larger file, whose rest is not read', (t) => {
  t.same(load(t, { launch: IN_SECTION, secrets: LARGER }).registries.refs.names(), ['databento_api_key']);
  t.end();
});

t.test('errors in a section have their places in the file', (t) => {
  t.same(complaints(t, { launch: IN_SECTION, secrets: LARGER.replace('backend: gopass', 'backend: gopss') }), [
    `secrets.yaml:5:16: mxm_secrets.stores.red.backend: must be one of ${BACKEND_NAMES}; did you mean "gopass"?`,
  ]);
  t.same(complaints(t, { launch: IN_SECTION, secrets: LARGER.replace('  policies:', '  policy:') }), [
    'secrets.yaml:2:1: mxm_secrets.policies: is missing; write {} where there is nothing',
    'secrets.yaml:12:3: mxm_secrets.policy: is an unknown key; known here: stores, refs, policies',
  ]);
  t.end();
});

t.test('a section that is not there is told', (t) => {
  const message = 'is missing, and the launch file names it as secrets_section';
  t.same(complaints(t, { launch: IN_SECTION, secrets: SECRETS }), [`secrets.yaml:1:1: mxm_secrets: ${message}`]);
  t.same(complaints(t, { launch: IN_SECTION, secrets: LARGER.replace('mxm_secrets', 'mxm_secret') }), [
    `secrets.yaml:1:1: mxm_secrets: ${message}; did you mean "mxm_secret"?`,
  ]);
  for (const secrets of ['', '- mxm_secrets\n', 'mxm_secrets\n']) {
    t.same(complaints(t, { launch: IN_SECTION, secrets }), [`secrets.yaml:1:1: mxm_secrets: ${message}`]);
  }
  t.same(complaints(t, { launch: IN_SECTION.replace('mxm_secrets', 'constructor'), secrets: SECRETS }), [
    `secrets.yaml:1:1: constructor: ${message}`,
  ]);
  t.end();
});

t.test('an empty section is told to be empty', (t) => {
  t.same(complaints(t, { launch: IN_SECTION, secrets: 'other: 1\nmxm_secrets:\n' }), [
    'secrets.yaml:2:1: mxm_secrets: is empty: it must be a mapping with the sections stores, refs, policies',
  ]);
  t.end();
});

t.test('a section is one key of the file, whatever characters it has', (t) => {
  const launch = `${LAUNCH}secrets_section: mxm.secrets/dev\n`;
  t.same(load(t, { launch, secrets: LARGER.replace('mxm_secrets', 'mxm.secrets/dev') }).registries.stores.names(), [
    'red',
  ]);
  t.same(complaints(t, { launch, secrets: 'mxm: {secrets: {dev: 1}}\n' }), [
    'secrets.yaml:1:1: "mxm.secrets/dev": is missing, and the launch file names it as secrets_section',
  ]);
  t.end();
});

t.test('without a section a larger file is refused', (t) => {
  const lines = complaints(t, { secrets: LARGER.replace(/^other.*\n/, '') });
  t.match(lines, [/mxm_secrets: is an unknown key/, /stores: is missing/, /refs: is missing/, /policies: is missing/]);
  t.end();
});

t.test('nothing is loaded from a file with errors', (t) => {
  const { launchFile } = writeConfig(t, { secrets: `${SECRETS}refs: {}\n` });
  t.throws(() => loadConfiguration(launchFile), ConfigError);
  t.end();
});

t.test('a launch file may name the sections in a file of any name', (t) => {
  const folder = temporaryFolder(t);
  writeFile(folder, 'sub/s.yaml', SECRETS);
  const launchFile = writeFile(folder, 'launch.yaml', LAUNCH.replace('secrets.yaml', './sub/../sub/s.yaml'));
  t.same(loadConfiguration(launchFile).registries.stores.names(), ['red']);
  t.end();
});
