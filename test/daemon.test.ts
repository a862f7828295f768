import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { loadConfiguration } from '../src/config/load.js';
import { startDaemon } from '../src/daemon.js';
import { fakeGopass, type FakeProgram } from './support/fake_gopass.js';
import { ask } from './support/http_client.js';
import { openPipe } from './support/pipe.js';
import { PROGRAM, runFromSources, startDaemonProcess, writeConfiguration } from './support/process.js';
import { isRunning } from './support/process_table.js';
import { openRaw, requestText, splitAnswers } from './support/raw_connection.js';
import { type Ending, temporaryFolder, writeFile } from './support/temporary.js';
import { onTerminal, realScript } from './support/terminal.js';
import { until } from './support/until.js';
import { withoutNative } from './support/without_native.js';

const SECRETS = `
stores: { local: { backend: env, root: mxm/test } }
refs: { api_key: { store: local, path: api-key, policy: open } }
policies: { open: { allowed_principals: [marketdata] } }
`;
const ENVIRONMENT = { MXM_TEST_API_KEY: 'value' };

function gopassSecrets({ file }: FakeProgram): string {
  return `
stores: { red: { backend: gopass, root: mxm, binary: ${file} } }
refs:
  slow: { store: red, path: slow, policy: open }
  other: { store: red, path: other, policy: open }
policies: { open: { allowed_principals: [marketdata] } }
`;
}

/** A gopass that answers once the test lets it. */
function slowGopass(t: Ending): FakeProgram & { release(): void } {
  const fake = fakeGopass(t, 'until [ -e "$0.released" ]; do sleep 0.02; done; echo "value of a slow one"');
  return { ...fake, release: () => writeFileSync(`${fake.file}.released`, '') };
}

t.test('a secret comes over the socket, with an audit record', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT });
  const answer = await ask(daemon.socket, '/secrets/api_key');
  t.equal(answer.status, 200);
  t.same(answer.json, { name: 'api_key', value: 'value' });
  await until(() => daemon.audit().length > 0);
  t.match(daemon.audit(), [{ secret: 'api_key', decision: 'allowed', outcome: 'ok' }]);
  t.same(await daemon.stop(), { status: 0, signal: null });
});

t.test('a limit of open files that is too low for the connections is told, at the start and at a reload', async (t) => {
  runFromSources(t);
  const daemon = await startDaemonProcess(t, {
    secrets: SECRETS,
    launch: 'limits: { connections: 20 }\n',
    under: ['sh', '-c', 'ulimit -n 150; exec "$@"', 'sh'],
  });
  const warnings = (): unknown[] => daemon.log().filter(({ event }) => event === 'descriptors_short');
  writeFileSync(daemon.launchFile, readFileSync(daemon.launchFile, 'utf8').replace('20', '100'));
  t.same(warnings(), []);
  daemon.child.kill('SIGHUP');
  await until(() => warnings().length > 0);
  t.match(warnings(), [{ level: 'warn', limit: 150, needed: 264 }]);
});

t.test('signals that come again while it stops change nothing of how it ends', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: SECRETS });
  const again = setInterval(() => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) daemon.child.kill(signal);
  }, 1);
  t.teardown(() => clearInterval(again));
  t.same(await daemon.stop(), { status: 0, signal: null });
});

t.test('a terminal that is held by Ctrl-S holds no stop up', { skip: realScript().skip }, async (t) => {
  const { launchFile, socket } = writeConfiguration(t, { secrets: SECRETS });
  const command = [...PROGRAM, 'serve', '--launch', launchFile];
  const terminal = onTerminal(t, ['sh', '-c', 'echo "pid $$"; exec "$@"', 'sh', ...command], ENVIRONMENT);
  const pid = Number((await terminal.shows(/pid (\d+)/))[1]);
  await terminal.shows(/"listening"/);
  terminal.type('\x13');
  let held: unknown;
  await until(async () => {
    held = (await ask(socket, '/secrets/api_key')).json;
    return (held as { code?: string }).code !== undefined;
  });
  t.match(held, { code: 'audit_unavailable' });
  process.kill(pid, 'SIGTERM');
  await until(() => !isRunning(pid));
});

t.test('the log begins with where the daemon listens and as what', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: SECRETS });
  await until(() => daemon.log().length > 0);
  t.match(daemon.log()[0], {
    event: 'listening',
    socket: daemon.socket,
    machine: 'bridge',
    environment: 'dev',
    role: 'marketdata',
    digest: /^[0-9a-f]{64}$/,
  });
});

t.test('stopping', (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    t.test(`${signal} lets requests in flight finish and refuses later ones on open connections`, async (t) => {
      const gopass = slowGopass(t);
      const daemon = await startDaemonProcess(t, { secrets: gopassSecrets(gopass) });
      const idle = await openRaw(t, daemon.socket);
      const reused = await openRaw(t, daemon.socket);
      reused.send(requestText('GET /healthz'));
      await reused.receives('{"status":"ok"}');
      const early = ask(daemon.socket, '/secrets/slow');
      await until(() => gopass.lines('calls').length > 0);

      const ended = once(daemon.child, 'close');
      daemon.child.kill(signal);
      await until(() => daemon.log().some(({ event }) => event === 'stopping'));
      for (const connection of [idle, reused]) connection.send(requestText('GET /secrets/other'));
      for (const connection of [idle, reused]) {
        const answer = splitAnswers(await connection.closed()).at(-1);
        t.match(answer, { status: 503, body: /"code":"shutting_down"/ });
        t.equal(answer?.headers.get('connection'), 'close');
      }
      daemon.child.kill('SIGTERM');
      daemon.child.kill('SIGINT');
      t.ok(existsSync(daemon.socket), 'it is there as long as somebody is answered');
      gopass.release();
      t.match(await early, { status: 200, json: { value: 'value of a slow one' } }, 'whatever further signals come');

      t.same(await ended, [0, null]); // a signal that comes when all is done may be what ends the process
      t.notOk(existsSync(daemon.socket));
      t.equal(gopass.lines('calls').length, 1, 'nothing was started for the later ones');
      t.equal(daemon.log().at(-1)?.['event'], 'stopped');
      t.match(
        daemon.audit().map(({ outcome }) => outcome),
        ['shutting_down', 'shutting_down', 'ok'],
      );
      t.equal(daemon.stderr(), '');
    });
  }

  for (const [where, nodeArguments] of [
    ['', []],
    [', where the platform cannot end what comes, too', withoutNative(t)],
  ] as const) {
    t.test(`answers whoever has asked before the signal, accepted or not${where}`, async (t) => {
      const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT, nodeArguments });
      const idle = await openRaw(t, daemon.socket);
      daemon.child.kill('SIGSTOP');
      const asking = await Promise.all(Array.from({ length: 20 }, () => openRaw(t, daemon.socket)));
      for (const connection of asking) connection.send(requestText('GET /secrets/api_key', { Connection: 'close' }));
      const ended = daemon.stop();
      daemon.child.kill('SIGCONT');
      for (const connection of asking) {
        const answers = splitAnswers(await connection.closed()).map(({ status }) => status);
        t.ok(answers.length === 1 && [200, 503].includes(answers[0] ?? 0), String(answers));
      }
      t.equal(await idle.closed(), '');
      t.same(await ended, { status: 0, signal: null });
      t.equal(daemon.audit().length, asking.length);
    });
  }

  t.test('does not wait for connections that ask for nothing', async (t) => {
    const daemon = await startDaemonProcess(t, { secrets: SECRETS });
    const idle = await openRaw(t, daemon.socket);
    const halfway = await openRaw(t, daemon.socket);
    halfway.send('GET /secrets/api_key HTTP/1.1\r\nHost:');
    t.same(await daemon.stop(), { status: 0, signal: null });
    t.equal(await idle.closed(), '');
    await halfway.closed();
  });

  t.test('does not wait for ever for a caller that does not read', async (t) => {
    const gopass = fakeGopass(t, 'head -c 1000000 /dev/zero');
    const daemon = await startDaemonProcess(t, {
      secrets: gopassSecrets(gopass),
      launch: 'limits: { backend_concurrency: 1, queue: 0, backend_timeout_ms: 1000 }',
    });
    const socket = connect(daemon.socket);
    t.teardown(() => socket.destroy());
    socket.write(requestText('GET /secrets/slow'));
    await until(() => daemon.audit().length > 0);
    t.same(await daemon.stop(), { status: 0, signal: null });
    t.notOk(existsSync(daemon.socket));
  });

  t.test('what it has to cut off has its record before the daemon says that it has stopped', async (t) => {
    const daemon = await startDaemonProcess(t, {
      secrets: SECRETS,
      launch: 'limits: { backend_concurrency: 1, queue: 0, backend_timeout_ms: 100 }',
      nodeArguments: withoutNative(t),
    });
    const halfway = await openRaw(t, daemon.socket);
    halfway.send(requestText('GET /secrets/api_key', { 'Transfer-Encoding': 'chunked' }));
    await ask(daemon.socket, '/healthz'); // by then the other one has come
    t.same(await daemon.stop(), { status: 0, signal: null });
    const told = daemon.log().map(({ event, outcome }) => outcome ?? event);
    t.same(told, ['listening', 'hardening_incomplete', 'stopping', 'cancelled', 'stopped']);
  });

  t.test('does not wait for ever for a reader of the log', async (t) => {
    const pipe = openPipe(t);
    pipe.fill();
    const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT, stdout: pipe.fd });
    t.match(await ask(daemon.socket, '/secrets/api_key'), { status: 503, json: { code: 'audit_unavailable' } });
    t.same(await daemon.stop(), { status: 0, signal: null });
  });
  t.end();
});

t.test('without a reader of the log the daemon lives, and hands nothing out', async (t) => {
  const pipe = openPipe(t);
  pipe.closeReader();
  const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT, stdout: pipe.fd });
  t.match(await ask(daemon.socket, '/secrets/api_key'), { status: 503, json: { code: 'audit_unavailable' } });
  t.match(await ask(daemon.socket, '/healthz'), { status: 200 });
  t.same(await daemon.stop(), { status: 0, signal: null });
});

t.test('SIGUSR1 opens no inspector', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT });
  daemon.child.kill('SIGUSR1');
  t.equal((await ask(daemon.socket, '/secrets/api_key')).status, 200);
  t.same(await daemon.stop(), { status: 0, signal: null });
  t.equal(daemon.stderr(), '');
});

t.test('an inspector that SIGUSR1 has opened during the start is closed', async (t) => {
  const early = `import inspector from 'node:inspector';
process.kill(process.pid, 'SIGUSR1');
while (inspector.url() === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
console.error('opened');
process.on('SIGUSR2', () => console.error(\`now it is \${inspector.url()}\`));
`;
  const preload = pathToFileURL(writeFile(temporaryFolder(t), 'preload.mjs', early)).href;
  const nodeArguments = ['--inspect-port=0', `--import=${preload}`];
  const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT, nodeArguments });
  t.match(daemon.stderr(), /^opened$/m);
  daemon.child.kill('SIGUSR2');
  await until(() => /^now it is undefined$/m.test(daemon.stderr()));
});

t.test('a start that fails leaves nothing open', async (t) => {
  const { launchFile, socket } = writeConfiguration(t, { secrets: SECRETS });
  writeFile(dirname(socket), 's.sock', 'theirs');
  const open = (): number => readdirSync('/proc/self/fd').length;
  const fd = 2;
  const before = open();
  await t.rejects(
    startDaemon(() => loadConfiguration(launchFile), { environment: {}, logFd: fd }),
    { name: 'SocketError' },
  );
  await until(() => open() <= before);
  t.equal(readFileSync(socket, 'utf8'), 'theirs');
});

t.test('half a line that an earlier daemon has left on stdout does not swallow the first record', async (t) => {
  const log = writeFile(temporaryFolder(t), 'log', '{"half');
  const stdout = openSync(log, 'a');
  t.teardown(() => closeSync(stdout));
  const launch = 'log: { level: error }\n';
  const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT, launch, stdout });
  t.equal((await ask(daemon.socket, '/secrets/api_key')).status, 200);
  const [half, record] = readFileSync(log, 'utf8').split('\n') as [string, string];
  t.equal(half, '{"half');
  t.match(JSON.parse(record), { event: 'secret_access', outcome: 'ok' });
});

t.test('a defect during a reload is told by its kind alone, and the daemon goes on', async (t) => {
  const { launchFile, socket, folder } = writeConfiguration(t, { secrets: SECRETS });
  const log = join(folder, 'log');
  const fd = openSync(log, 'a');
  let load = (): ReturnType<typeof loadConfiguration> => loadConfiguration(launchFile);
  const daemon = await startDaemon(() => load(), { environment: ENVIRONMENT, logFd: fd });
  load = () => {
    throw new TypeError('canary');
  };
  daemon.reload();
  const { json } = await ask(socket, '/readyz');
  t.match(json, { config: { last_error: { message: 'TypeError' } } });
  await daemon.stop();
  closeSync(fd);
  const lines = readFileSync(log, 'utf8');
  t.match(lines, /"event":"reload_refused","problems":\["TypeError"\]/);
  t.notMatch(lines, 'canary');
});
