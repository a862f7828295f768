import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fakeGopass } from './support/fake_gopass.js';
import { ask } from './support/http_client.js';
import { runFromSources, type RunningDaemon, startDaemonProcess } from './support/process.js';
import { temporaryFolder, writeFile } from './support/temporary.js';
import { until } from './support/until.js';

function secrets(...names: string[]): string {
  const refs = names.map((name) => `  ${name}: { store: demo, path: ${name}, policy: open }`).join('\n');
  return `stores:\n  demo: { backend: env, root: mxm }\nrefs:\n${refs}\npolicies:\n  open: { allowed_principals: [marketdata] }\n`;
}

const ENVIRONMENT = { MXM_A: 'first', MXM_B: 'second' };

/** What a caller may take to read an answer while the daemon is stopping. */
const LAST_ANSWER_MS = 2_000;

/** Sends SIGHUP and waits for what the daemon says of it. */
async function reload(daemon: RunningDaemon): Promise<Record<string, unknown>> {
  const told = () => daemon.log().filter(({ event }) => event === 'reloaded' || event === 'reload_refused');
  const before = told().length;
  daemon.child.kill('SIGHUP');
  return until(() => told()[before]);
}

interface ReadyConfig {
  readonly digest: string;
  readonly last_error: { readonly at: string; readonly message: string } | null;
}

async function readyConfig({ socket }: RunningDaemon): Promise<ReadyConfig> {
  return (await ask(socket, '/readyz')).json['config'] as ReadyConfig;
}

function rewrite(daemon: RunningDaemon, change: (launch: string) => string): void {
  writeFile(daemon.folder, 'launch.yaml', change(readFileSync(daemon.launchFile, 'utf8')));
}

t.test('SIGHUP swaps a valid configuration in', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: secrets('a'), env: ENVIRONMENT });
  const before = await readyConfig(daemon);
  t.equal((await ask(daemon.socket, '/secrets/b')).status, 404);
  writeFile(daemon.folder, 'secrets.yaml', secrets('b'));
  const told = await reload(daemon);
  const after = await readyConfig(daemon);
  t.match(told, { event: 'reloaded', digest: after.digest });
  t.not(after.digest, before.digest);
  t.equal(after.last_error, null);
  t.equal((await ask(daemon.socket, '/secrets/b')).json['value'], 'second');
  t.equal((await ask(daemon.socket, '/secrets/a')).status, 404);
});

t.test('a configuration in error changes nothing and is told, until a good one comes', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: secrets('a'), env: ENVIRONMENT });
  const before = await readyConfig(daemon);
  writeFile(daemon.folder, 'secrets.yaml', secrets('a').replace('store: demo', 'store: dmo'));
  const told = await reload(daemon);
  const problem = /secrets\.yaml:\d+:\d+: refs\.a\.store: "dmo" is no store; did you mean "demo"\?/;
  t.match(told, { event: 'reload_refused', problems: [problem] });
  const refused = await readyConfig(daemon);
  t.equal(refused.digest, before.digest);
  t.match(refused.last_error, { at: /^\d{4}-/, message: problem });
  t.equal((await ask(daemon.socket, '/secrets/a')).status, 200);

  writeFile(daemon.folder, 'secrets.yaml', secrets('a'));
  await reload(daemon);
  t.equal((await readyConfig(daemon)).last_error, null);
});

t.test('identity and socket do not change by reload', async (t) => {
  runFromSources(t);
  const daemon = await startDaemonProcess(t, { secrets: secrets('a'), env: ENVIRONMENT });
  rewrite(daemon, (launch) => launch.replace('role: marketdata', 'role: research').replace('s.sock', 'other.sock'));
  t.match(await reload(daemon), {
    event: 'reload_refused',
    problems: [
      /launch\.yaml: identity: cannot change by reload: restart the daemon$/,
      /launch\.yaml: socket: cannot change by reload: restart the daemon$/,
    ],
  });
  t.match((await ask(daemon.socket, '/identity')).json, { principal: 'marketdata' });
});

t.test('a store whose last fetch failed stays unready through a reload', async (t) => {
  const { file } = fakeGopass(t, '[ "$1" = ls ] || exit 1');
  const red = secrets('a').replace('backend: env', `backend: gopass, binary: ${file}`);
  const daemon = await startDaemonProcess(t, { secrets: red, env: {} });
  t.equal((await ask(daemon.socket, '/readyz')).status, 200);
  t.equal((await ask(daemon.socket, '/secrets/a')).json['code'], 'backend_unavailable');
  await reload(daemon);
  t.equal((await ask(daemon.socket, '/readyz')).status, 503);
});

t.test('limits and the level of the log change by reload', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: secrets('a'), env: ENVIRONMENT });
  rewrite(daemon, (launch) => `${launch}limits: { max_value_bytes: 4 }\nlog: { level: debug }\n`);
  await reload(daemon);
  t.equal((await ask(daemon.socket, '/secrets/a')).json['code'], 'backend_failed', '"first" has five bytes');
});

t.test('those who wait for their turn begin at once when a reload lets more run', async (t) => {
  const gopass = fakeGopass(t, 'until [ "$(wc -l <"$0.calls")" = 3 ]; do sleep 0.02; done; echo value');
  const daemon = await startDaemonProcess(t, {
    secrets: secrets('a', 'b', 'c').replace('backend: env', `backend: gopass, binary: ${gopass.file}`),
    launch: 'limits: { backend_concurrency: 1, backend_timeout_ms: 60000 }\n',
  });
  const asked = ['a', 'b', 'c'].map((name) => ask(daemon.socket, `/secrets/${name}`));
  await until(async () => /^mxm_secretsd_queue_depth 2$/m.test((await ask(daemon.socket, '/metrics')).text));
  rewrite(daemon, (launch) => launch.replace('backend_concurrency: 1', 'backend_concurrency: 3'));
  await reload(daemon);
  const answers = await Promise.all(asked);
  t.same(
    answers.map(({ status }) => status),
    [200, 200, 200],
    'the first of them has an answer once all have begun',
  );
});

t.test('a stop lets requests from before a reload take the time that they had then', async (t) => {
  const gopass = fakeGopass(t, 'until [ -e "$0.released" ]; do sleep 0.02; done; echo value');
  const slow = secrets('a', 'b').replace('backend: env', `backend: gopass, binary: ${gopass.file}`);
  const daemon = await startDaemonProcess(t, {
    secrets: slow,
    launch: 'limits: { backend_concurrency: 1, queue: 8 }\n',
  });
  const asked = ['a', 'b'].map((name) => ask(daemon.socket, `/secrets/${name}`));
  await until(async () => /^mxm_secretsd_queue_depth 1$/m.test((await ask(daemon.socket, '/metrics')).text));
  rewrite(daemon, (launch) => launch.replace('queue: 8', 'queue: 0, backend_timeout_ms: 1'));
  await reload(daemon);
  const ended = daemon.stop();
  setTimeout(() => writeFileSync(`${gopass.file}.released`, ''), LAST_ANSWER_MS + 500);
  const answers = await Promise.all(asked);
  t.same(
    answers.map(({ status }) => status),
    [200, 200],
  );
  t.same(await ended, { status: 0, signal: null });
});

t.test('audit records go to their file, which SIGHUP opens anew', async (t) => {
  const daemon = await startDaemonProcess(t, {
    secrets: secrets('a'),
    env: ENVIRONMENT,
    launch: 'log: { audit_file: audit.jsonl }\n',
  });
  const [file, rotated] = [join(daemon.folder, 'audit.jsonl'), join(daemon.folder, 'audit.jsonl.1')];
  const outcomes = (path: string) =>
    readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { secret: string }).secret);

  await ask(daemon.socket, '/secrets/a');
  renameSync(file, rotated);
  await ask(daemon.socket, '/secrets/b');
  t.same(outcomes(rotated), ['a', 'b'], 'until told otherwise the records follow the file');
  await reload(daemon);
  await ask(daemon.socket, '/secrets/c');
  t.same(outcomes(file), ['c']);
  t.same(outcomes(rotated), ['a', 'b']);
  t.same(daemon.audit(), [], 'and none goes to stdout');
});

t.test('a reload that is refused opens the audit file anew all the same, or leaves it where it cannot', async (t) => {
  runFromSources(t);
  const folder = join(temporaryFolder(t), 'audit');
  mkdirSync(folder);
  const file = join(folder, 'audit.jsonl');
  const daemon = await startDaemonProcess(t, {
    secrets: secrets('a'),
    env: ENVIRONMENT,
    launch: `log: { audit_file: ${file} }\n`,
  });
  const lines = (path: string): number => readFileSync(path, 'utf8').split('\n').length - 1;
  writeFile(daemon.folder, 'secrets.yaml', 'refs: {}\n');
  renameSync(file, `${file}.1`);
  t.match(await reload(daemon), { event: 'reload_refused' });
  await ask(daemon.socket, '/secrets/a');
  t.equal(lines(file), 1);
  t.equal(lines(`${file}.1`), 0);

  renameSync(folder, `${folder}.moved`);
  t.match(await reload(daemon), { event: 'reload_refused' });
  t.equal((await ask(daemon.socket, '/secrets/a')).status, 200);
  t.equal(lines(`${folder}.moved/audit.jsonl`), 2);
});

t.test('an audit file that cannot be opened stops the start, and leaves a running daemon as it is', async (t) => {
  runFromSources(t);
  const daemon = await startDaemonProcess(t, {
    secrets: secrets('a'),
    env: ENVIRONMENT,
    launch: 'log: { audit_file: audit.jsonl }\n',
  });
  const place = /launch\.yaml:4:20: log\.audit_file: /;
  rewrite(daemon, (launch) => launch.replace('audit.jsonl', 'missing/audit.jsonl'));
  const problems = [/: stands in a folder that is not there \(.*missing\): make it, or name another file$/];
  t.match(await reload(daemon), { problems });
  t.match(await reload(daemon), { problems: [place] });
  t.equal((await ask(daemon.socket, '/secrets/a')).status, 200);
  t.ok(existsSync(join(daemon.folder, 'audit.jsonl')));
  await t.rejects(
    startDaemonProcess(t, { secrets: secrets('a'), launch: 'log: { audit_file: missing/audit.jsonl }\n' }),
    /:4:20: log\.audit_file: stands in a folder that is not there/,
  );
  symlinkSync('missing/audit.jsonl', join(daemon.folder, 'link'));
  rewrite(daemon, (launch) => launch.replace('missing/audit.jsonl', 'link'));
  const opening =
    /: cannot be opened: no such file or directory \(ENOENT\): let the daemon's user make, read and write it/;
  t.match(await reload(daemon), { problems: [opening] }, 'which only the opening shows');
  t.match(await reload(daemon), { problems: [place] });
  execFileSync('mkfifo', [join(daemon.folder, 'fifo')]);
  rewrite(daemon, (launch) => launch.replace('link', 'fifo'));
  t.match(await reload(daemon), {
    problems: [/log\.audit_file: cannot be opened: nobody reads the FIFO, or it is a socket: start its reader/],
  });
});

t.test('a FIFO that has not taken all that was begun gets no second writer, which would begin within it', async (t) => {
  const fifo = join(temporaryFolder(t), 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  t.teardown(() => closeSync(reader));
  const daemon = await startDaemonProcess(t, {
    secrets: secrets('a'),
    env: ENVIRONMENT,
    launch: `log: { audit_file: ${fifo} }\n`,
  });
  const fds = `/proc/${daemon.child.pid}/fd`;
  const writers = (): number => readdirSync(fds).filter((fd) => linkOf(join(fds, fd)) === fifo).length;
  const before = writers();
  t.throws(() => {
    for (;;) writeSync(reader, Buffer.alloc(4_096, '\n'));
  }, /EAGAIN/);
  const waiting = ask(daemon.socket, '/secrets/a');
  await reload(daemon);
  t.equal(writers(), before);
  readSync(reader, Buffer.alloc(65_536));
  t.equal((await waiting).status, 200);
});

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // closed meanwhile
  }
}

t.test('a reload that would append audit records to the secrets file is refused', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: secrets('a'), env: ENVIRONMENT });
  rewrite(daemon, (launch) => `${launch}log: { audit_file: secrets.yaml }\n`);
  t.match(await reload(daemon), { problems: [/launch\.yaml:\d+:\d+: log\.audit_file: is the secrets file itself/] });
  t.equal((await ask(daemon.socket, '/secrets/a')).status, 200);
  t.equal(readFileSync(join(daemon.folder, 'secrets.yaml'), 'utf8'), secrets('a'));
});

t.test('a full audit file means that nothing is handed out', async (t) => {
  const daemon = await startDaemonProcess(t, {
    secrets: secrets('a'),
    env: ENVIRONMENT,
    launch: 'log: { audit_file: /dev/full }\n',
  });
  const refused = await ask(daemon.socket, '/secrets/a');
  t.match(refused, { status: 503, json: { code: 'audit_unavailable', retryable: true } });
  t.equal((await ask(daemon.socket, '/healthz')).status, 200);
  rewrite(daemon, (launch) => launch.replace('/dev/full', 'audit.jsonl'));
  await reload(daemon);
  t.equal((await ask(daemon.socket, '/secrets/a')).status, 200);
});
