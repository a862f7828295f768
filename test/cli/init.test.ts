import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { BACKENDS } from '../../src/backends/table.js';
import { FIRST_BACKENDS } from '../../src/cli/first_stores.js';
import { run } from '../../src/cli/run.js';
import { loadConfiguration } from '../../src/config/load.js';
import { memoryIo } from '../support/io.js';
import { PROGRAM, runFromSources, runProgram } from '../support/process.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';
import { onTerminal, realScript } from '../support/terminal.js';

const ALL = ['--role', 'marketdata', '--machine', 'bridge', '--environment', 'dev', '--backend', 'env'];

t.test('there is a first store for every backend', (t) => {
  t.same([...FIRST_BACKENDS].sort(), [...BACKENDS.keys()].sort());
  t.end();
});

t.test('what is written of every backend is what check accepts', async (t) => {
  for (const backend of FIRST_BACKENDS) {
    const folder = temporaryFolder(t);
    const args = ['--role', 'marketdata', '--machine', 'bridge', '--environment', 'dev', '--backend', backend];
    const io = memoryIo();
    t.equal(await run(['init', '--dir', folder, ...args], io), 0, backend);
    t.equal(io.errors(), '');
    t.match(io.text(), `  mxm-secretsd check --launch ${folder}/launch.yaml\n`);

    const checked = memoryIo();
    t.equal(await run(['check', '--offline', '--launch', join(folder, 'launch.yaml')], checked), 0, checked.errors());
    t.match(checked.text(), `secret\texample_key\tmain\t${backend}\treaders\tallowed\n`);
    t.equal(readFileSync(join(folder, 'secrets.yaml'), 'utf8').includes('  example_key: # the '), true);
  }
});

t.test('without --dir the files are in the working directory', async (t) => {
  runFromSources(t);
  const folder = temporaryFolder(t);
  const ended = await runProgram(['init', ...ALL], { cwd: folder });
  t.match({ ...ended, stdout: ended.stdout.toString() }, { status: 0, stdout: /^launch\.yaml and secrets\.yaml are/ });
  t.same(readdirSync(folder).sort(), ['launch.yaml', 'secrets.yaml']);
});

t.test('what it prints of a folder holds nothing that a terminal would act upon', async (t) => {
  const io = memoryIo();
  const folder = join(temporaryFolder(t), "it's\x1b[31m");
  t.equal(await run(['init', '--dir', folder, ...ALL], io), 0);
  t.match(io.text(), /it's\ufffd\[31m\/launch\.yaml and .+it's\ufffd\[31m\/secrets\.yaml are written/);
  t.match(io.text(), /check --launch '.+it'\\''s\ufffd\[31m\/launch\.yaml'\n/);
  t.notMatch(io.text(), '\x1b');
});

t.test('the files are in a folder that is made, and nobody but their owner may write them', async (t) => {
  const umask = process.umask(0);
  t.teardown(() => process.umask(umask));
  const folder = join(temporaryFolder(t), 'a/b');
  t.equal(await run(['init', '--dir', folder, ...ALL], memoryIo()), 0);
  t.same(readdirSync(folder).sort(), ['launch.yaml', 'secrets.yaml']);
  for (const path of ['', 'launch.yaml', 'secrets.yaml']) {
    t.equal(statSync(join(folder, path)).mode & 0o022, 0, path);
  }
});

t.test('for all identities: what is written says exactly that', async (t) => {
  const clean = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .map((text) => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, 'x').trim())
    .filter((text) => text !== '');
  const text = fc.oneof(
    clean,
    fc.constantFrom('yes', '1', '~', 'null', '#', 'a: b', "it's", '"', '- a', '0x1', '&a', '*'),
  );
  const role = fc.oneof(fc.stringMatching(/^[a-z][a-z0-9_]{0,127}$/), fc.constantFrom('null', 'true', 'y'.repeat(128)));
  await fc.assert(
    fc.asyncProperty(
      text,
      text,
      role,
      fc.constantFrom(...FIRST_BACKENDS),
      async (machine, environment, role, backend) => {
        const folder = temporaryFolder(t);
        const args = [`--machine=${machine}`, `--environment=${environment}`, `--role=${role}`, `--backend=${backend}`];
        const io = memoryIo();
        t.equal(await run(['init', '--dir', folder, ...args], io), 0, io.errors());
        const { identity, registries } = loadConfiguration(join(folder, 'launch.yaml'));
        t.same(identity, { machine, environment, role });
        t.same(registries.policies.get('readers')?.allowedPrincipals, [role]);
      },
    ),
    { numRuns: 50 },
  );
});

t.test('what is there is never overwritten: 73, and nothing is written beside it', async (t) => {
  for (const name of ['launch.yaml', 'secrets.yaml']) {
    for (const make of [
      (path: string) => writeFile(join(path, '..'), name, 'mine'),
      (path: string) => mkdirSync(path),
      (path: string) => symlinkSync('/nonexistent', path),
    ]) {
      const folder = temporaryFolder(t);
      make(join(folder, name));
      const io = memoryIo({ isTTY: true, lines: [] });
      t.equal(await run(['init', '--dir', folder], io), 73, 'before anything is asked');
      t.equal(io.text(), '');
      t.equal(io.errors(), `mxm-secretsd init: ${join(folder, name)}: is there already, and nothing is overwritten\n`);
      t.same(readdirSync(folder), [name]);
    }
  }
});

t.test('what appears while questions are answered is not overwritten either', async (t) => {
  const folder = temporaryFolder(t);
  const io = memoryIo({ isTTY: true });
  const answering = {
    ...io,
    stdin: {
      isTTY: true,
      readLine: () => {
        writeFile(folder, 'secrets.yaml', 'mine');
        return Promise.resolve('env');
      },
    },
  };
  t.equal(await run(['init', '--dir', folder, ...ALL.slice(0, -2)], answering), 73);
  t.same(readdirSync(folder), ['secrets.yaml'], 'both or none');
  t.equal(readFileSync(join(folder, 'secrets.yaml'), 'utf8'), 'mine');
});

t.test('a folder that cannot be made or written ends with 73', async (t) => {
  const file = writeFile(temporaryFolder(t), 'file', '');
  const io = memoryIo();
  t.equal(await run(['init', '--dir', join(file, 'a'), ...ALL], io), 73);
  t.match(
    io.errors(),
    /^mxm-secretsd init: .*file\/a: cannot be made: not a directory \(ENOTDIR\); name a folder that you may write with --dir\n$/,
  );
});

t.test('a folder in /proc, where none can be made, ends with 73 too', async (t) => {
  const io = memoryIo();
  t.equal(await run(['init', '--dir', '/proc/x', ...ALL], io), 73);
  t.match(io.errors(), /^mxm-secretsd init: \/proc\/x: cannot be made: .+ \([A-Z]+\); name a folder .*\n$/);
});

t.test('a working directory that is gone ends with 73 too', async (t) => {
  const before = process.cwd();
  t.teardown(() => process.chdir(before));
  const gone = temporaryFolder(t);
  process.chdir(gone);
  rmdirSync(gone);
  const io = memoryIo();
  t.equal(await run(['init', ...ALL], io), 73);
  t.match(io.errors(), 'no such file or directory (ENOENT)');
});

t.test('where the daemon would refuse the files there are none', async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o777);
  const io = memoryIo();
  t.equal(await run(['init', '--dir', folder, ...ALL], io), 78);
  t.match(io.errors(), /launch\.yaml: stands in a folder that everybody may write/);
  t.equal(io.text(), '');
  t.same(readdirSync(folder), []);
});

t.test('a folder whose socket would have too long a path is refused before anything is asked or made', async (t) => {
  const above = temporaryFolder(t);
  const longest = join(above, 'd'.repeat(107 - `${above}//run/secrets.sock`.length));
  const io = memoryIo({ isTTY: true, lines: [] });
  t.equal(await run(['init', '--dir', `${longest}d`], io), 64);
  const why = 'as an absolute path, run/secrets.sock in it would have 108 bytes, and 107 are the most';
  t.match(io.errors(), `mxm-secretsd: --dir DIR is too long: ${why}\n`);
  t.same(readdirSync(above), []);
  t.equal(await run(['init', '--dir', longest, ...ALL], memoryIo()), 0);
});

t.test('without a terminal what is missing ends with 64', async (t) => {
  const folder = temporaryFolder(t);
  for (let left = 0; left < ALL.length; left += 2) {
    const args = ALL.filter((_, index) => index !== left && index !== left + 1);
    const io = memoryIo();
    t.equal(await run(['init', '--dir', folder, ...args], io), 64);
    t.match(io.errors(), `mxm-secretsd: ${ALL[left]!} `);
    t.match(io.errors(), 'is missing, and there is no terminal to ask at\n');
  }
  t.same(readdirSync(folder), []);
});

t.test('an option that is wrong ends with 64 and says why', async (t) => {
  const wrong: [string, string, RegExp][] = [
    ['--role', 'Marketdata', /--role R must be a lower-case letter/],
    ['--role', '', /--role R must be/],
    ['--machine', ' bridge', /--machine M must not be empty, have white space around it/],
    ['--environment', '', /--environment E must not be empty/],
    ['--backend', 'gopas', /--backend B must be one of .*; did you mean "gopass"\?/],
    ['--backend', 'constructor', /--backend B must be one of /],
  ];
  const folder = temporaryFolder(t);
  for (const [option, value, message] of wrong) {
    const io = memoryIo({ isTTY: true });
    t.equal(await run(['init', '--dir', folder, ...ALL, `${option}=${value}`], io), 64, `${option} ${value}`);
    t.match(io.errors(), message);
  }
  t.same(readdirSync(folder), []);
});

t.test('on a terminal it asks for what is missing, and again when an answer is wrong', async (t) => {
  const folder = temporaryFolder(t);
  const io = memoryIo({ isTTY: true, lines: ['Research', 'research', 'lab', 'gopass'] });
  t.equal(await run(['init', '--dir', folder, '--environment', 'prod'], io), 0);
  t.match(
    io.errors(),
    /^Role, the principal that policies name: It must be a lower-case .*\.\nRole, .*: Machine: Backend of the first store \(gopass, env.*\): $/,
  );
  t.match(loadConfiguration(join(folder, 'launch.yaml')).identity, {
    role: 'research',
    machine: 'lab',
    environment: 'prod',
  });
});

t.test('answers that stay wrong, and the end of the input, end with 64', async (t) => {
  const folder = temporaryFolder(t);
  for (const lines of [['A', 'B', 'C', 'd'], []]) {
    t.equal(await run(['init', '--dir', folder], memoryIo({ isTTY: true, lines })), 64);
  }
  t.same(readdirSync(folder), []);
});

t.test('what it prints can be pasted into a shell', async (t) => {
  const folder = join(temporaryFolder(t), "it's here");
  const io = memoryIo();
  t.equal(await run(['init', '--dir', folder, ...ALL], io), 0);
  t.match(io.text(), `--launch '${folder.replace("'", "'\\''")}/launch.yaml'\n`);
});

const { skip } = realScript();

t.test('a user types the answers on a real terminal', { skip }, async (t) => {
  runFromSources(t);
  const folder = temporaryFolder(t);
  const screen = onTerminal(t, [...PROGRAM, 'init', '--dir', folder]);
  for (const [question, answer] of [
    [/Role.*: $/, 'research'],
    [/Machine: $/, 'lab'],
    [/Environment.*: $/, 'prod'],
    [/Backend.*: $/, 'env'],
  ] as const) {
    await screen.shows(question);
    screen.type(`${answer}\n`);
  }
  t.equal(await screen.status, 0);
  t.match(loadConfiguration(join(folder, 'launch.yaml')).identity, { role: 'research', machine: 'lab' });
});

t.test('Ctrl-D and Ctrl-C at a question end it, and nothing is written', { skip }, async (t) => {
  runFromSources(t);
  const folder = join(temporaryFolder(t), 'new');
  for (const [key, status] of [
    ['\x04', 64],
    ['\x03', 130],
  ] as const) {
    const screen = onTerminal(t, [...PROGRAM, 'init', '--dir', folder]);
    await screen.shows(/Role.*: $/);
    screen.type(key);
    t.equal(await screen.status, status);
  }
  t.notOk(existsSync(folder));
});
