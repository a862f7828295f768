import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { VERSION } from '../src/version.js';
import { readDocument } from './support/markdown.js';
import { copyBuilt, untilAnswers } from './support/process.js';
import { temporaryFolder, writeFile } from './support/temporary.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What is made or installed, and what is git's. */
const NOT_SOURCES = new Set(['.ci', 'node_modules', 'dist', 'run', 'coverage', '.git', '.tap']);

const execute = promisify(execFile);

interface Where {
  readonly cwd: string;
  readonly env?: Record<string, string>;
}

/** Runs a program without what the tests are measured with. */
function finish(file: string, args: readonly string[], { cwd, env = {} }: Where) {
  return execute('env', ['-u', 'NODE_OPTIONS', file, ...args], { cwd, env: { ...process.env, ...env } });
}

/** The same, and gives its stdout. */
async function run(file: string, args: readonly string[], where: Where): Promise<string> {
  return (await finish(file, args, where)).stdout;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

interface LockedPackage {
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
}

/** The folders of all that the package needs to run, as the lock file says. */
function runtimePackages(): [string, LockedPackage][] {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  return Object.entries(packages).filter(([folder, { dev }]) => folder !== '' && dev !== true);
}

t.test('the package', async (t) => {
  // A copy, so that what is built here disturbs nobody.
  const project = join(temporaryFolder(t), 'project');
  cpSync(ROOT, project, { recursive: true, filter: (source) => !NOT_SOURCES.has(basename(source)) });
  symlinkSync(join(ROOT, 'node_modules'), join(project, 'node_modules'));
  const inProject = { cwd: project };
  copyBuilt(project);
  // esbuild names parts by where packages are: once more, so that another time here makes the same.
  await run('node', ['bundle/build.js'], inProject);
  const packed = await run('npm', ['pack', '--json', '--ignore-scripts'], inProject);
  const [{ filename, files }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];

  await t.test('holds the program, the library with its declarations and what a user needs, nothing else', (t) => {
    const [examples, units, pages] = ['config', 'systemd', 'docs'].map((folder) =>
      filesBelow(join(project, folder)).map((file) => `${folder}/${file}`),
    ) as [string[], string[], string[]];
    const schemas = filesBelow(join(project, 'schema'))
      .filter((file) => file.endsWith('.json'))
      .map((file) => `schema/${file}`);
    const packed = files.map(({ path }) => path);
    t.same(
      packed.filter((path) => !path.startsWith('dist/')).sort(),
      [
        ...examples,
        ...schemas,
        'man/mxm-secretsd.1',
        ...units,
        ...pages,
        'clients/python/mxm_secretsd.py',
        'package.json',
        'README.md',
        'LICENSE',
        'CHANGELOG.md',
        'CONTRIBUTING.md',
        'SECURITY.md',
      ].sort(),
    );
    const built = packed.filter((path) => path.startsWith('dist/')).map((path) => path.slice('dist/'.length));
    const program = built.filter((path) => /^(?:main\.js|program(?:-[0-9A-Z]{8})?\.cjs)$/.test(path));
    t.ok(program.length > 5 && program.includes('main.js'), 'a command loads what it runs with');
    const code = built.filter((path) => path.startsWith('code-'));
    t.same(
      code.filter((path) => !program.includes(basename(path))),
      [],
    );
    const library = built.filter((path) => path.endsWith('.js') && !program.includes(path));
    for (const path of ['index.js', 'client/client.js']) t.ok(library.includes(path), path);
    for (const path of library) t.ok(existsSync(join(project, 'src', path.replace(/\.js$/, '.ts'))), path);
    const declarations = library.map((path) => path.replace(/\.js$/, '.d.ts'));
    t.same(built.sort(), [...program, ...code, ...library, ...declarations, 'LICENSES.txt'].sort());
    t.end();
  });

  await t.test('holds what the README and the pages of docs lead to', (t) => {
    const packed = files.map(({ path }) => path);
    for (const page of packed.filter((path) => /^(?:README|docs\/.*)\.md$/.test(path))) {
      for (const link of readDocument(page).links) {
        const [file = ''] = link.split('#');
        if (file !== '' && !/^[a-z]+:/.test(link)) t.ok(packed.includes(join(dirname(page), file)), `${page}: ${link}`);
      }
    }
    t.end();
  });

  await t.test('leaves nothing of an earlier build among what the program loads', async (t) => {
    const dist = join(project, 'dist');
    const before = readdirSync(dist);
    writeFileSync(join(dist, 'program-00000000.cjs'), '');
    mkdirSync(join(dist, 'code-of-another'));
    await run('node', ['bundle/build.js'], inProject);
    t.same(readdirSync(dist), before);
  });

  await t.test('is strict in all its parts, as the modules are that it is made of', (t) => {
    const dist = join(project, 'dist');
    const parts = readdirSync(dist).filter((name) => name.endsWith('.cjs'));
    t.ok(parts.length > 5);
    for (const name of parts)
      t.match(readFileSync(join(dist, name), 'latin1'), /^\(function\([\w,]+\)\{"use strict";/, name);
    t.end();
  });

  await t.test('starts out of what V8 compiled of it at the build', async (t) => {
    const dist = join(project, 'dist');
    const started = writeFile(
      temporaryFolder(t),
      'started.mjs',
      `import { codeFolder, parts } from '${pathToFileURL(dist).href}/main.js';
process.on('exit', () => {
  console.log(codeFolder.pathname);
  for (const { script } of parts.values()) console.log(script.cachedDataRejected ?? 'none');
});
`,
    );
    const start = async (...options: string[]) => {
      const said = await run(process.execPath, [...options, started, '--version'], inProject);
      const [version, folder = '', ...found] = said.trimEnd().split('\n');
      t.equal(version, `mxm-secretsd ${VERSION}`);
      t.ok(found.length > 1, 'the program has parts');
      return { folder, found: new Set(found) };
    };
    const usual = await start();
    t.same(usual.found, new Set(['false']), 'as it is');
    const jitless = await start('--jitless');
    t.same(jitless.found, new Set(['false']), 'as the unit starts it');
    t.same((await start('--stack-trace-limit=20')).found, new Set(['none']), 'or compiles it, with other options');

    const kept = readdirSync(usual.folder).map((name) => join(usual.folder, name));
    const whole = kept.map((file) => readFileSync(file));
    const damage = async (how: (file: string, bytes: Buffer) => void) => {
      for (const [index, file] of kept.entries()) how(file, Buffer.from(whole[index] as Buffer));
      const { found } = await start();
      for (const [index, file] of kept.entries()) writeFileSync(file, whole[index] as Buffer);
      return found;
    };
    t.same(await damage((file) => truncateSync(file, 1_000)), new Set(['none']), 'or where that is cut short');
    const flipped = await damage((file, bytes) => {
      bytes[bytes.length >> 1] = ~(bytes[bytes.length >> 1] as number);
      writeFileSync(file, bytes);
    });
    t.same(flipped, new Set(['none']), 'or where a byte of that has become another one, which V8 would run');

    const part = join(dist, 'program.cjs');
    const text = readFileSync(part, 'latin1');
    writeFileSync(part, text.replace('"use strict"', "'use strict'"));
    t.same((await start()).found, new Set(['none', 'false']), 'or where the text is another one of the same length');
    writeFileSync(part, text);
    t.same((await start()).found, new Set(['false']), 'and is as it was when all is mended');
  });

  await t.test('is whole without what V8 compiles of it, and the build says why', async (t) => {
    const dist = join(project, 'dist');
    const tooLong = join(temporaryFolder(t), 'x'.repeat(100));
    mkdirSync(tooLong);
    const { stderr } = await finish('node', ['bundle/build.js'], { ...inProject, env: { TMPDIR: tooLong } });
    t.match(
      stderr,
      /^built without what V8 compiles of it, so that it starts slower: serve ended with 78: .*107 bytes/,
    );
    t.same(
      readdirSync(dist).filter((name) => name.startsWith('code-')),
      [],
    );
    t.same(readdirSync(tooLong), [], 'and nothing of the attempt is left');
    t.equal(await run(join(dist, 'main.js'), ['--version'], inProject), `mxm-secretsd ${VERSION}\n`);
    await run('node', ['bundle/build.js'], inProject);
  });

  await t.test('has the licence of each package that is part of the program', (t) => {
    const licences = readFileSync(join(project, 'dist/LICENSES.txt'), 'utf8');
    for (const name of ['fastify', 'pino', 'yaml', 'undici', 'prom-client', 'age-encryption']) {
      t.match(licences, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, 'm'));
    }
    t.notMatch(licences, /\(undefined\)/);
    t.end();
  });

  await t.test('installed for all users it brings the program and its manual page', async (t) => {
    const prefix = temporaryFolder(t);
    const options = ['--global', '--ignore-scripts', '--offline', '--no-audit', '--no-fund', '--silent'];
    await run('npm', ['install', ...options, '--prefix', prefix, '.'], inProject);
    t.equal(await run(join(prefix, 'bin/mxm-secretsd'), ['--version'], inProject), `mxm-secretsd ${VERSION}\n`);
    t.match(readFileSync(join(prefix, 'share/man/man1/mxm-secretsd.1'), 'utf8'), /^\.TH MXM\\-SECRETSD 1 /m);
  });

  await t.test(
    'works where it is installed with nothing but what it depends on, without install scripts',
    async (t) => {
      const user = temporaryFolder(t);
      writeFileSync(join(user, 'package.json'), '{ "type": "module" }');
      for (const [folder, { optional = false }] of runtimePackages()) {
        // Of a module for each processor one is there.
        if (optional && !existsSync(join(ROOT, folder))) continue;
        cpSync(join(ROOT, folder), join(user, folder), { recursive: true });
      }
      const inUser = { cwd: user };
      const options = ['--ignore-scripts', '--offline', '--no-audit', '--no-fund', '--silent'];
      await run('npm', ['install', ...options, join(project, filename)], inUser);

      const program = join(user, 'node_modules/.bin/mxm-secretsd');
      accessSync(program, constants.X_OK);
      t.match(readFileSync(program, 'utf8'), /^#!\/usr\/bin\/env node\n/);
      t.equal(await run(program, ['--version'], inUser), `mxm-secretsd ${VERSION}\n`);
      const launch = join(user, 'node_modules/mxm-secretsd/config/launch.yaml');
      t.match(await run(program, ['check', '--launch', launch], inUser), /^secret\t/m);

      // What is loaded only where there is a use for it is part of the program as well.
      writeFileSync(join(user, 'token'), 'token');
      writeFileSync(
        join(user, 'secrets.yaml'),
        `stores: { fleet: { backend: openbao, root: mxm, address: 'unix:/nowhere', auth: { token_file: token } } }
refs: {}
policies: {}
`,
      );
      writeFileSync(
        join(user, 'launch.yaml'),
        'identity: { machine: m, environment: e, role: demo }\nsecrets: secrets.yaml\nsocket: { path: s.sock }\n',
      );
      const checked = await run('sh', ['-c', '"$0" check --launch launch.yaml || test $? = 69', program], inUser);
      t.match(checked, /^store\tfleet\topenbao\tunready\tbackend_unavailable\tserver_unreachable\t/m);

      const socket = join(dirname(launch), '../run/secrets.sock');
      const inGone = [
        '-c',
        'mkdir gone && cd gone && rmdir ../gone && exec env -u NODE_OPTIONS -u NODE_V8_COVERAGE "$@"',
        'sh',
      ];
      const daemon = spawn('sh', [...inGone, program, 'serve', '--launch', launch], { cwd: user, stdio: 'ignore' });
      const ended = once(daemon, 'close');
      await untilAnswers(socket, () => {
        if (daemon.exitCode !== null) throw new Error(`the daemon has ended with ${daemon.exitCode}`);
      });
      daemon.kill('SIGTERM');
      t.same(await ended, [0, null], 'the example is served, even from a working directory that is no more');

      writeFileSync(
        join(user, 'use.ts'),
        `import { ConfigError, SecretsApi, SecretsError } from 'mxm-secretsd';
import { SecretsClient, type SecretsClientError } from 'mxm-secretsd/client';
const identity = { machine: 'm', environment: 'e', role: 'demo' };
const api = SecretsApi.fromConfigData({
  stores: { local: { backend: 'env', root: 'mxm/use' } },
  refs: { greeting: { store: 'local', path: 'greeting', policy: 'open' } },
  policies: { open: { allowed_principals: ['demo'] } },
});
const greeting: string = await api.getSecret('greeting', { identity });
const code: unknown = await api.getSecret('absent', { identity }).catch((error) => error instanceof SecretsError && error.code);
const client = new SecretsClient({ socketPath: '/nowhere' });
const absent: unknown = await client.get('greeting').catch((error) => (error as SecretsClientError).status);
console.log(JSON.stringify([greeting, code, typeof ConfigError, absent]));
`,
      );
      // The declarations must not need what a user does not have; those of Node are what every user has.
      mkdirSync(join(user, 'types'));
      for (const name of ['node', 'undici-types']) {
        const from = name === 'node' ? '@types/node' : name;
        symlinkSync(join(ROOT, 'node_modules', from), join(user, 'types', name));
      }
      const tsc = join(ROOT, 'node_modules/.bin/tsc');
      const types = ['--typeRoots', 'types', '--types', 'node'];
      await run(tsc, ['--strict', '--module', 'nodenext', '--target', 'es2023', ...types, 'use.ts'], inUser);
      const used = await run(process.execPath, ['use.js'], { ...inUser, env: { MXM_USE_GREETING: 'hello' } });
      t.equal(used, '["hello","unknown_secret","function",null]\n');
    },
  );
});

t.test('nothing that the package needs to run has an install script', (t) => {
  const packages = runtimePackages();
  t.ok(packages.length > 5);
  for (const [folder, { hasInstallScript = false }] of packages) t.notOk(hasInstallScript, folder);
  t.end();
});
