import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { ask } from './support/http_client.js';
import {
  runProgram,
  serveProcess,
  startDaemonProcess,
  startProgram,
  untilAnswers,
  withUmask,
  writeConfiguration,
} from './support/process.js';
import { leaveDeadSocket } from './support/scripted_server.js';
import { type Ending, temporaryFolder } from './support/temporary.js';
import { until } from './support/until.js';

const SECRETS = `
stores: { local: { backend: env, root: mxm/test } }
refs: { api_key: { store: local, path: api-key, policy: open } }
policies: { open: { allowed_principals: [marketdata] } }
`;
const ENVIRONMENT = { MXM_TEST_API_KEY: 'value' };

/** A group that this process may give its files to. */
const GID = process.getuid?.() === 0 ? 54_321 : (process.getgid?.() ?? 0);

t.test('the socket of a daemon that was killed is replaced by the next', async (t) => {
  const configured = writeConfiguration(t, { secrets: SECRETS });
  const first = await serveProcess(t, configured);
  await first.stop('SIGKILL');
  t.ok(existsSync(configured.socket));
  const second = await serveProcess(t, configured, { env: ENVIRONMENT });
  t.equal((await ask(configured.socket, '/secrets/api_key')).status, 200);
  await second.stop();
  t.same(readdirSync(configured.folder).sort(), ['launch.yaml', 'secrets.yaml']);
});

t.test('the socket of another daemon that stands there by now is left', async (t) => {
  const configured = writeConfiguration(t, { secrets: SECRETS });
  const first = await serveProcess(t, configured);
  rmSync(configured.socket);
  const second = await serveProcess(t, configured, { env: ENVIRONMENT });
  t.same(await first.stop(), { status: 0, signal: null });
  t.equal((await ask(configured.socket, '/secrets/api_key')).status, 200);
  await second.stop();
  t.notOk(existsSync(configured.socket));
});

t.test('a socket that cannot be made ends the start with 73', async (t) => {
  const inTheWay: Record<string, { socket?: string; prepare?: (path: string) => unknown; says: RegExp }> = {
    'a file': { prepare: (path) => writeFileSync(path, 'theirs'), says: /there is a file that is no socket/ },
    'a folder': { prepare: (path) => mkdirSync(path), says: /there is a file that is no socket/ },
    'a folder where none can be made': {
      socket: 'path: /proc/mxm-secretsd/s.sock',
      says: /cannot be made: .* \(E(?:NOENT|ACCES)\)/,
    },
  };
  for (const [what, { socket = '', prepare, says }] of Object.entries(inTheWay)) {
    const configured = writeConfiguration(t, { secrets: SECRETS, socket });
    prepare?.(configured.socket);
    const before = readdirSync(configured.folder).sort();
    const ended = await runProgram(['serve', '--launch', configured.launchFile]);
    t.match(ended, { status: 73, stderr: says }, what);
    t.equal(ended.stdout.length, 0);
    t.same(readdirSync(configured.folder).sort(), before);
  }
});

t.test('the socket of a live daemon ends the start of another with 73, and stays', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT });
  const { ino } = statSync(daemon.socket);
  const ended = await runProgram(['serve', '--launch', daemon.launchFile]);
  t.match(ended, { status: 73, stderr: /another daemon listens there/ });
  t.equal(ended.stdout.length, 0);
  t.equal(statSync(daemon.socket).ino, ino);
  t.equal((await ask(daemon.socket, '/secrets/api_key')).status, 200);
});

t.test('the socket may have a path of 107 bytes, and 108 are an error of the configuration', async (t) => {
  const pathOf = (folder: string, bytes: number): string => {
    const path = `${folder}/${'s'.repeat(bytes - Buffer.byteLength(folder) - 1)}`;
    t.equal(Buffer.byteLength(path), bytes);
    return path;
  };
  const folder = temporaryFolder(t);
  const longest = pathOf(folder, 107);
  const configured = { ...writeConfiguration(t, { secrets: SECRETS, socket: `path: ${longest}` }), socket: longest };
  const daemon = await serveProcess(t, configured, { env: ENVIRONMENT });
  t.equal((await ask(longest, '/secrets/api_key')).status, 200);
  await daemon.stop();
  t.same(readdirSync(folder), []);

  const { launchFile } = writeConfiguration(t, { secrets: SECRETS, socket: `path: ${pathOf(folder, 108)}` });
  const ended = await runProgram(['serve', '--launch', launchFile]);
  t.match(ended, { status: 78, stderr: /launch\.yaml:\d+:\d+: socket\.path: is longer than the 107 bytes/ });
  t.equal(ended.stdout.length, 0);
  t.same(readdirSync(folder), []);
});

for (const umask of ['000', '077']) {
  t.test(`the socket has its mode and group from the first instant under umask ${umask}`, async (t) => {
    const wanted = [
      { keys: '', mode: 0o600, gid: process.getgid?.() ?? 0, folder: 0o700 },
      { keys: `, mode: "0660", group: ${GID}`, mode: 0o660, gid: GID, folder: 0o750 },
    ];
    for (const { keys, mode, gid, folder } of wanted) {
      const path = join(temporaryFolder(t), 'made', 's.sock');
      const configured = {
        ...writeConfiguration(t, { secrets: SECRETS, socket: `path: ${path}${keys}` }),
        socket: path,
      };
      const watcher = await startWatcher(t, dirname(path));
      const daemon = await serveProcess(t, configured, { under: withUmask(umask) });
      const seen = await watcher.seen();
      await daemon.stop();
      const at = seen.filter(({ name }) => name === 's.sock');
      t.same(at, [{ name: 's.sock', mode, gid }]);
      for (const other of seen.filter(({ name }) => name !== 's.sock')) {
        t.equal(other.mode & ~mode, 0, 'never open wider under another name');
        if (other.gid !== gid) t.equal(other.mode & 0o077, 0, 'nor to another group');
      }
      t.equal(statSync(dirname(path)).mode & 0o7777, folder);
      t.equal(statSync(dirname(path)).gid, gid);
    }
  });
}

t.test('the socket goes to one of two daemons that are started at once', async (t) => {
  for (const stale of [false, true, true, false]) {
    const configured = writeConfiguration(t, { secrets: SECRETS });
    if (stale) await leaveDeadSocket(configured.socket);
    const two = [1, 2].map((number) =>
      startProgram(['serve', '--launch', configured.launchFile], { env: { MXM_TEST_API_KEY: String(number) } }),
    );
    const ends = two.map((child) => once(child, 'close'));
    const [loser] = await Promise.race(ends.map(async (end, index) => [index, await end] as const));
    t.equal(two[loser]?.exitCode, 73);
    const winner = two[1 - loser] as ChildProcess;
    await untilAnswers(configured.socket);
    t.match(await ask(configured.socket, '/secrets/api_key'), { json: { value: String(2 - loser) } });
    winner.kill('SIGTERM');
    await ends[1 - loser];
    t.equal(winner.exitCode, 0);
    t.same(readdirSync(configured.folder).sort(), ['launch.yaml', 'secrets.yaml']);
  }
});

interface Seen {
  readonly name: string;
  readonly mode: number;
  readonly gid: number;
}

/** Looks without a pause at every socket of a folder, which need not be there yet, and tells each state it has seen. */
async function startWatcher(t: Ending, folder: string): Promise<{ seen(): Promise<Seen[]> }> {
  const script = `
    const { lstatSync, readdirSync } = require('node:fs');
    const folder = process.argv[1];
    const seen = new Map();
    process.stdout.write('ready');
    process.on('SIGTERM', () => { look(); console.log(JSON.stringify([...seen.values()])); process.exit(); });
    function look() {
      let names = [];
      try { names = readdirSync(folder); } catch {}
      for (const name of names) {
        const stat = lstatSync(folder + '/' + name, { throwIfNoEntry: false });
        if (stat === undefined || !stat.isSocket()) continue;
        const state = { name, mode: stat.mode & 0o7777, gid: stat.gid };
        seen.set(JSON.stringify(state), state);
      }
    }
    (function lookOn() {
      const until = performance.now() + 20;
      while (performance.now() < until) look();
      setImmediate(lookOn);
    })();`;
  const child = spawn(process.execPath, ['-e', script, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'close');
  t.teardown(() => child.kill('SIGKILL'));
  await until(() => output === 'ready');
  return {
    async seen() {
      child.kill('SIGTERM');
      await ended;
      return JSON.parse(output.slice('ready'.length)) as Seen[];
    },
  };
}
