// The README's commands, as they are printed, in a copy of what a clone holds.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { builtClone, cloneOf, realGit, runLine, userEnvironment } from './support/clone.js';
import { fenceOf, readDocument, ROOT } from './support/markdown.js';
import { patternOf, printedCommands } from './support/printed_commands.js';
import { asRoot, onPath, realComponent, realGopass, realGpg, realRoot, skipWithout } from './support/real_component.js';
import { onTerminal, realScript } from './support/terminal.js';
import { temporaryFolder, writeFile } from './support/temporary.js';

const INSTALL = 'npm ci --ignore-scripts && ';

const readme = readDocument('README.md');
const shell = readme.fences.filter(({ under, language }) => under === 'Try it' && language === 'sh');
const [clone = '', run = '', test = ''] = shell.map(({ text }) => text);

const root = t;
const git = realGit();
const curl = realComponent('curl', onPath('curl'));
const gopass = realGopass();

t.test('the command for the tests is the one of package.json', (t) => {
  const { scripts } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { scripts: Record<string, string> };
  t.equal(test, `${INSTALL}npm test`);
  t.match(scripts['test'], /\btap\b/);
  t.equal(shell.length, 3);
  t.end();
});

t.test('a newcomer clones, runs one command and gets what is printed', { skip: skipWithout(git, curl) }, async (t) => {
  t.match(clone, /^git clone \S+ (\S+)\ncd \1$/);
  t.ok(run.startsWith(INSTALL));
  const copy = cloneOf(t);
  const env = userEnvironment(t, copy);

  // A group of its own, so that it can be ended as Ctrl-C does.
  const started = spawn('sh', ['-c', run.slice(INSTALL.length)], {
    cwd: copy,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(started, 'close');
  const interrupt = async (): Promise<void> => {
    if (started.exitCode === null && started.signalCode === null) process.kill(-started.pid!, 'SIGINT');
    await ended;
  };
  t.teardown(interrupt);
  let log = '';
  const listens = patternOf(
    readme.fences.find(({ under, language }) => under === 'Try it' && language === 'json')!.text,
  );
  await new Promise<void>((resolve, reject) => {
    started.stdout.on('data', (chunk: Buffer) => {
      log += chunk.toString('utf8');
      if (log.split('\n').some((line) => listens.test(line))) resolve();
    });
    void ended.then(() => reject(new Error(`it has ended: ${log}`)));
  });

  writeFile(copy, 'expect.yaml', fenceOf(readme, 'Checks of the policies', 'yaml'));
  for (const under of [
    ...['Try it', 'Routes', 'Representations of a secret'],
    ...['Command line', 'Beginning', 'Checks of the policies', 'Running a command'],
  ]) {
    const consoles = readme.fences.filter((fence) => fence.under === under && fence.language === 'console');
    t.not(consoles.length, 0, `${under} shows something`);
    for (const { command, output } of consoles.flatMap(({ text }) => printedCommands(text))) {
      t.match(runLine(command, copy, env).output, patternOf(output), command);
    }
  }

  await interrupt();
  t.match(log, '"event":"stopped"', 'Ctrl-C stops it');
  t.notOk(existsSync(join(copy, 'run/secrets.sock')), 'and removes the socket');
});

t.test(
  'the log can be read through pino-pretty, in colours on a terminal only',
  { skip: skipWithout(git, realScript()) },
  async (t) => {
    const copy = builtClone(root);
    const env = userEnvironment(t, copy, { MXM_DEMO_GREETING: 'hello' });
    const line = fenceOf(readme, 'Reading the log', 'sh');
    const printed = fenceOf(readme, 'Reading the log', 'text').replace('12:34:56.789', '…');
    for (const [isTTY, variables, coloured] of [
      [false, {}, false],
      [true, {}, true],
      [true, { NO_COLOR: '1' }, false],
    ] as const) {
      const pipe = isTTY ? line : `{ ${line}; } | (trap '' INT; exec cat)`;
      const screen = onTerminal(t, [
        'env',
        '-i',
        'sh',
        '-c',
        `cd '${copy}' && ${exported({ ...env, ...variables })} && ${pipe}`,
      ]);
      const shown = (await screen.shows(/\[[\d:.]+\] .*listening[^]*"demo"[^]*digest.*\n/))[0];
      if (!coloured) t.match(shown.trimEnd(), patternOf(printed));
      t.equal(shown.includes('\x1b['), coloured, JSON.stringify(variables));
      screen.type('\x03');
      await screen.shows(/stopped/);
      await screen.status;
    }
  },
);

/** The command of a shell that sets these variables. */
function exported(variables: Record<string, string>): string {
  return `export ${Object.entries({ TERM: 'xterm', ...variables })
    .map(([name, value]) => `${name}='${value}'`)
    .join(' ')}`;
}

t.test('the example of the library prints what is printed', { skip: skipWithout(git) }, (t) => {
  const copy = builtClone(root);
  const env = userEnvironment(t, copy, { MXM_DEV_API_KEY: 'k-12345' });
  writeFile(copy, 'example.mjs', fenceOf(readme, 'As a library', 'js'));
  t.same(runLine('node example.mjs', copy, env), { status: 0, output: fenceOf(readme, 'As a library', 'text') });
  t.end();
});

t.test(
  'a user of gopass sets it up as printed and gets the value',
  { skip: skipWithout(git, gopass, realGpg()) },
  (t) => {
    const home = temporaryFolder(t);
    const env = userEnvironment(t, builtClone(root), { HOME: home, GNUPGHOME: join(home, 'g') });
    mkdirSync(join(home, 'g'), { mode: 0o700 });
    t.teardown(() => runLine('gpgconf --kill all', home, env));

    const [build, setUp = ''] = readme.fences
      .filter(({ under, language }) => under === 'Setting up gopass' && language === 'sh')
      .map(({ text }) => text);
    t.match(build, /^cd \.ci\/gopass && go build /, 'what builds gopass is run by .ci/run');
    t.equal(runLine(`set -e; ${setUp}`, home, env).status, 0, 'the set-up succeeds');

    writeFile(home, 'launch.yaml', fenceOf(readme, 'The launch file', 'yaml'));
    writeFile(home, 'secrets.yaml', fenceOf(readme, 'The secrets file', 'yaml'));
    const consoles = readme.fences.filter(
      ({ under, language }) => under === 'Setting up gopass' && language === 'console',
    );
    for (const { command, output } of consoles.flatMap(({ text }) => printedCommands(text))) {
      t.match(runLine(command, home, env).output, patternOf(output), command);
    }

    const served = runLine(
      'mxm-secretsd serve --launch launch.yaml > log & daemon=$!; mxm-secretsd get databento_api_key --socket run/secrets.sock --wait 20; status=$?; kill $daemon; wait $daemon; exit $status',
      home,
      env,
    );
    t.same(served, { status: 0, output: 'db-12345' }, 'the value that was inserted comes over the socket');
    t.end();
  },
);

t.test(
  'the shell of the user of a role may use its terminal, as a pinentry does',
  { skip: skipWithout(realRoot(), realScript()) },
  async (t) => {
    const line = readme.fences.find(({ under, text }) => under === 'Under systemd' && text.includes('runuser '))!.text;
    const asNobody = line.replaceAll('mxm-marketdata', 'nobody');
    const screen = onTerminal(t, [...asRoot()!, 'sh', '-c', asNobody]);
    screen.type('true > "$(tty)"; echo "it ended with $?"; exit\n');
    t.match((await screen.shows(/it ended with (\d+)/))[1], '0');
    await screen.status;
  },
);

t.test('the reader of printed commands finds them with their output', (t) => {
  t.same(printedCommands('$ a\nb\n\nc\n$ d'), [
    { command: 'a', output: 'b\n\nc' },
    { command: 'd', output: '' },
  ]);
  t.throws(() => printedCommands('a'));
  t.match('{"id":"12"}', patternOf('{"id":"…"}'));
  t.notMatch('{"id":"12"}x', patternOf('{"id":"…"}'));
  t.end();
});
