import { closeSync, openSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { VERSION } from '../src/version.js';
import { openPipe } from './support/pipe.js';
import { BUILT, runFromSources, runProgram, startDaemonProcess, writeConfiguration } from './support/process.js';
import { type Ending, temporaryFolder, writeFile } from './support/temporary.js';

const CANARY = 'canary-5d1f0b7a';

const SECRETS = `
stores: { local: { backend: env, root: mxm/test } }
refs:
  api_key: { store: local, path: api-key, policy: open }
  absent: { store: local, path: absent, policy: open }
  guarded: { store: local, path: guarded, policy: nobody }
policies:
  open: { allowed_principals: [marketdata] }
  nobody: { allowed_principals: [] }
`;
const VALUE = 'välue\t"of two\nlines"';
const ENVIRONMENT = { MXM_TEST_API_KEY: VALUE, MXM_TEST_GUARDED: CANARY };

/** Runs before the program, in its process. */
function preloaded(t: Ending, script: string): string[] {
  return [`--import=${pathToFileURL(writeFile(temporaryFolder(t), 'preload.mjs', script)).href}`];
}

function deviceFull(t: Ending): number {
  const fd = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(fd));
  return fd;
}

t.test('every command ends with its status, and says what it has to say on the right stream', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT });
  const { socket, launchFile } = daemon;
  const wrong = writeConfiguration(t, { secrets: 'stores: []\n' });
  const nothing = /^$/;
  const cases: { args: string[]; status: number; stdout: RegExp; stderr: RegExp; env?: Record<string, string> }[] = [
    { args: ['--version'], status: 0, stdout: new RegExp(`^mxm-secretsd ${VERSION}\n$`), stderr: nothing },
    { args: ['get', 'api_key', '--socket', socket], status: 0, stdout: new RegExp(`^${VALUE}$`), stderr: nothing },
    { args: ['get', 'absent', '--socket', socket], status: 66, stdout: nothing, stderr: /secret_not_found/ },
    { args: ['get', 'unknown', '--socket', socket], status: 66, stdout: nothing, stderr: /unknown_secret/ },
    { args: ['get', 'guarded', '--socket', socket], status: 77, stdout: nothing, stderr: /access_denied/ },
    { args: ['get', 'api_key'], status: 69, stdout: nothing, stderr: /no daemon/, env: { MXM_SECRETSD_SOCKET: '/x' } },
    { args: ['health', '--socket', socket], status: 0, stdout: /^local\tenv\tready\n$/, stderr: nothing },
    { args: ['check', '--launch', launchFile], status: 0, stdout: /^secret\tapi_key\tlocal\tenv\t/m, stderr: nothing },
    { args: ['check', '--launch', wrong.launchFile], status: 78, stdout: nothing, stderr: /stores: must be a mapping/ },
    { args: ['bogus'], status: 64, stdout: nothing, stderr: /there is no command/ },
  ];
  for (const { args, status, stdout, stderr, env = {} } of cases) {
    const ended = await runProgram(args, { env });
    t.match({ ...ended, stdout: ended.stdout.toString() }, { status, signal: null, stdout, stderr }, args.join(' '));
  }
  await daemon.stop();
});

t.test('a defect', async (t) => {
  runFromSources(t);
  const message = `${CANARY}\\n    at ${CANARY} (file:///${CANARY}.js:1:1)`;
  const thrown: Record<string, { script: string; kind: string; at: RegExp }> = {
    'an uncaught exception': { script: `throw new RangeError('${message}')`, kind: 'RangeError', at: /\n {4}at .*:\d/ },
    'an unhandled rejection': {
      script: `void Promise.reject(new TypeError('${message}'))`,
      kind: 'TypeError',
      at: /\n {4}at .*:\d/,
    },
    'something that is no error': { script: `throw '${message}'`, kind: 'string', at: /^[^\n]*\n$/ },
  };
  for (const [what, { script, kind, at }] of Object.entries(thrown)) {
    await t.test(`${what} ends the daemon with 70 and tells its kind and place, not its message`, async (t) => {
      const daemon = await startDaemonProcess(t, {
        secrets: SECRETS,
        nodeArguments: preloaded(t, `process.on('SIGUSR2', () => { ${script}; });`),
      });
      t.same(await daemon.stop('SIGUSR2'), { status: 70, signal: null });
      t.ok(daemon.stderr().startsWith(`mxm-secretsd: internal_error: ${kind}\n`), daemon.stderr());
      t.match(daemon.stderr(), at);
      t.notMatch(daemon.stderr() + daemon.stdout(), CANARY);
    });
  }

  await t.test('of a command ends it with 70 as well', async (t) => {
    const ended = await runProgram(['--version'], {
      nodeArguments: preloaded(t, `process.stdout.write = () => { throw new Error('${message}'); };`),
    });
    t.equal(ended.status, 70);
    t.ok(ended.stderr.startsWith('mxm-secretsd: internal_error: Error\n'), ended.stderr);
    t.notMatch(ended.stderr, CANARY);
  });
});

t.test('output that cannot be written ends with 70 and is told on stderr', async (t) => {
  runFromSources(t);
  const pipe = openPipe(t);
  pipe.closeReader();
  for (const [code, stdout] of Object.entries({ EPIPE: pipe.fd, ENOSPC: deviceFull(t) })) {
    const ended = await runProgram(['--help'], { stdout });
    t.match(ended, { status: 70, stderr: new RegExp(`^mxm-secretsd: standard output cannot be written: .*${code}`) });
  }
});

t.test('as it is built it starts without a word of its own', async (t) => {
  const ended = await runProgram(['--version'], { program: BUILT });
  t.match(
    { ...ended, stdout: ended.stdout.toString() },
    { status: 0, stdout: `mxm-secretsd ${VERSION}\n`, stderr: /^$/ },
  );
});

t.test('a command that waits for what never comes ends with 70, not as if all were well', async (t) => {
  const ended = await runProgram(['--version'], { nodeArguments: preloaded(t, 'process.stdout.write = () => true;') });
  t.match(ended, { status: 70, signal: null, stderr: '' });
});

t.test('messages that cannot be written change nothing', async (t) => {
  t.match(await runProgram(['bogus'], { stderr: deviceFull(t) }), { status: 64, signal: null });
});
