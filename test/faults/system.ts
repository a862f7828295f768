import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ask } from '../support/http_client.js';
import { openPipe } from '../support/pipe.js';
import { descriptorsOf, threadsOf } from '../support/process_table.js';
import { openRaw, requestText } from '../support/raw_connection.js';
import {
  asRoot,
  onPath,
  type RealComponent,
  realComponent,
  realFaketime,
  realRoot,
  skipWithout,
} from '../support/real_component.js';
import { temporaryFolder } from '../support/temporary.js';
import { until } from '../support/until.js';
import type { Fault } from './fault.js';
import { LONG_TIMEOUT, type Scene } from './scene.js';

const prlimit = (): RealComponent => realComponent('prlimit', onPath('prlimit'));
const setpriv = (): RealComponent => realComponent('setpriv', onPath('setpriv'));

/** No limit of processes binds root: a user without processes, and without other rights than to read our files. */
const UID = 61_234;
function asAnotherUser(): string[] {
  if (process.getuid?.() !== 0) return [];
  const rights = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
  return [setpriv().file, `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', ...rights];
}

/** Sets a limit of a process that runs, as the user that it runs as. */
function limit(pid: number, what: string, under: readonly string[] = []): void {
  const [file, ...rest] = [...under, prlimit().file, '--pid', String(pid), what];
  execFileSync(file, rest, { stdio: 'pipe' });
}

export const SYSTEM_FAULTS: readonly Fault[] = [
  {
    name: 'fork failure',
    asked: 'the limit of processes is reached for the daemon, then for gopass itself',
    skip: () => skipWithout(prlimit(), setpriv()),
    async act(scene) {
      const under = asAnotherUser();
      await scene.start({
        faulty: 'sleep 0; sleep 0; echo value',
        under,
        ...(under.length > 0 && { owner: UID }),
      });
      await scene.expect('faulty', 'ok');
      limit(scene.pid, '--nproc=1:', under);
      await scene.expect('faulty', 'backend_unavailable');
      await scene.expect('faulty', 'backend_unavailable');
      await scene.ask('/healthz');
      limit(scene.pid, `--nproc=${threadsOf(scene.pid) + 1}:`, under);
      if (under.length > 0) await scene.expect('faulty', 'backend_failed');
      limit(scene.pid, '--nproc=1000:', under);
      await scene.expect('faulty', 'ok');
    },
  },
  {
    name: 'file descriptors exhausted',
    asked: 'two descriptors are left: asked on a connection that is open, and on new ones',
    skip: () => prlimit().skip,
    async act(scene) {
      await scene.start({ faulty: 'echo value' });
      const [open, other] = [await openRaw(scene.t, scene.daemon.socket), await openRaw(scene.t, scene.daemon.socket)];
      for (const raw of [open, other]) {
        raw.send(requestText('GET /healthz'));
        await raw.receives('{"status":"ok"}');
      }
      limit(scene.pid, `--nofile=${descriptorsOf(scene.pid) + 2}:`);
      open.send(requestText('GET /secrets/faulty'));
      await open.receives('"code":"backend_unavailable"');
      scene.came('503 backend_unavailable');
      const more = await Promise.all(Array.from({ length: 4 }, () => openRaw(scene.t, scene.daemon.socket)));
      for (const raw of more) raw.send(requestText('GET /healthz'));
      await until(() => more.every((raw) => raw.socket.destroyed || raw.received().includes('"ok"')));
      for (const raw of more) scene.came(raw.received() === '' ? 'closed' : '200 ok');
      other.send(requestText('GET /secrets/local'));
      await other.receives('"value"');
      scene.came('200 ok');
      limit(scene.pid, '--nofile=1024:');
      await scene.expect('faulty', 'ok');
      for (const { socket } of [open, other, ...more]) socket.destroy();
    },
  },
  {
    name: 'full disk',
    asked: 'log.audit_file lies on a file system without room; then there is room again',
    skip: () => realRoot().skip,
    async act(scene) {
      const folder = mountSmall(scene);
      const file = join(folder, 'audit.jsonl');
      await scene.start({ launch: `log: { audit_file: ${file} }\n${LONG_TIMEOUT}` });
      const filler = join(folder, 'filler');
      fill(filler);
      // The last page of the file has room for some records.
      for (let last; last !== 503;) last = (await ask(scene.daemon.socket, '/secrets/local')).status;
      for (const name of ['good', 'local', 'good', 'unknown']) await scene.expect(name, 'audit_unavailable');
      assert.equal((await scene.ask('/healthz'))?.status, 200);
      rmSync(filler);
      await scene.expect('good', 'ok');
      await scene.expect('unknown', 'unknown_secret');
      const whole = readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => (JSON.parse(line) as { outcome: string }).outcome);
      assert.deepEqual(whole.slice(-2), ['ok', 'unknown_secret'], 'a torn record swallows none');
    },
  },
  {
    name: 'disk hangs',
    asked:
      'five files at once on a disk that answers nothing, and one more when they are given up; then the disk is well again',
    skip: () => skipWithout(realRoot(), realComponent('python3', onPath('python3'))) || fuseSkip(),
    async act(scene) {
      const folder = join(temporaryFolder(scene.t), 'disk');
      mkdirSync(folder);
      const names = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth'];
      for (const name of names) writeFileSync(join(folder, name), name);
      await scene.start({
        launch: 'limits: { backend_concurrency: 8, backend_timeout_ms: 1000 }\n',
        stores: [`disk: { backend: file, root: ${folder} }`],
        refs: names.map((name) => `${name}: { store: disk, path: ${name}, policy: open }`),
      });
      await scene.expect('first', 'ok');
      const release = await hangDisk(scene, folder);
      const hanging = names.slice(0, 5).map((name) => scene.expect(name, 'backend_timeout'));
      for (const name of ['good', 'local']) await scene.expect(name, 'ok');
      await Promise.all(hanging);
      await scene.expect('sixth', 'backend_timeout');
      for (const name of ['good', 'local']) await scene.expect(name, 'ok');
      assert.equal((await scene.ask('/healthz'))?.status, 200);
      assert.equal((await scene.ask('/readyz'))?.status, 503);
      await release();
      await until(async () => (await ask(scene.daemon.socket, '/secrets/first')).status === 200);
      for (const name of names) await scene.expect(name, 'ok');
    },
  },
  {
    name: 'stdout closed',
    asked: 'the reader of the log and its audit records goes away, and comes back',
    async act(scene) {
      const pipe = openPipe(scene.t);
      await scene.start({ stdout: pipe.fd });
      pipe.closeReader();
      for (const name of ['good', 'local', 'unknown']) await scene.expect(name, 'audit_unavailable');
      assert.equal((await scene.ask('/healthz'))?.status, 200);
      pipe.openReader();
      await scene.expect('good', 'ok');
    },
  },
  {
    name: 'stdout not read',
    asked: 'nobody reads the log and its audit records, until somebody does',
    async act(scene) {
      const pipe = openPipe(scene.t);
      await scene.start({ stdout: pipe.fd });
      pipe.fill();
      for (const name of ['good', 'local', 'unknown']) await scene.expect(name, 'audit_unavailable');
      assert.equal((await scene.ask('/healthz'))?.status, 200);
      pipe.read();
      await scene.expect('good', 'ok');
    },
  },
  {
    name: 'clock jumps',
    asked: 'the clock jumps a year ahead and two years back during calls, one of which hangs',
    skip: () => realFaketime().skip,
    async act(scene) {
      const clock = join(temporaryFolder(scene.t), 'clock');
      writeFileSync(clock, '+0');
      const faulty =
        'note $$; if [ -e "$0.hang" ]; then sleep 1000; fi; until [ -e "$0.released" ]; do sleep 0.02; done; echo value';
      await scene.start({
        faulty,
        launch: 'limits: { backend_concurrency: 4, backend_timeout_ms: 3000 }\n',
        env: {
          LD_PRELOAD: realFaketime().file,
          FAKETIME_TIMESTAMP_FILE: clock,
          FAKETIME_NO_CACHE: '1',
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
        },
      });
      const year = (): number => new Date(String(scene.daemon.audit().at(-1)?.['time'])).getFullYear();
      const before = year();
      const asking = scene.expect('faulty', 'ok');
      await scene.faulty.noted(1);
      writeFileSync(clock, '+1y');
      writeFileSync(`${scene.faulty.file}.released`, '');
      await asking;
      await until(() => year() > before);
      await scene.expect('faulty', 'ok');
      writeFileSync(`${scene.faulty.file}.hang`, '');
      const hanging = scene.expect('faulty', 'backend_timeout');
      await scene.faulty.noted(3);
      writeFileSync(clock, '-2y');
      await hanging;
      await until(() => year() < before);
      rmSync(`${scene.faulty.file}.hang`);
      await scene.expect('faulty', 'ok');
      await scene.ask('/readyz');
    },
  },
];

/** Of the kernel: no machine is asked to have it. */
function fuseSkip(): string | false {
  return existsSync('/dev/fuse') ? false : 'no /dev/fuse';
}

/** A file system whose server answers no request. Mounts it in its first argument, until its input ends. */
const HANGING_DISK = `
import ctypes, os, sys
folder = sys.argv[1].encode()
device = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={device},rootmode=40000,user_id=0,group_id=0,allow_other'.encode()
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b'fuse', folder, b'fuse', 0, options) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print('mounted', flush=True)
sys.stdin.read()
libc.umount2(folder, 2)
`;

/** Puts a disk that hangs over a folder; gives what takes it away again. */
async function hangDisk({ t }: Scene, folder: string): Promise<() => Promise<void>> {
  const [file, ...rest] = [...(asRoot() ?? []), 'python3', '-c', HANGING_DISK, folder];
  const server = spawn(file, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(server, 'exit');
  const release = async (): Promise<void> => {
    server.stdin.end();
    await ended;
  };
  t.teardown(release);
  await Promise.race([once(server.stdout, 'data'), ended.then(() => assert.fail('the disk cannot be mounted'))]);
  return release;
}

/** A file system of 64 KiB in memory. */
function mountSmall({ t }: Scene): string {
  const folder = join(temporaryFolder(t), 'small');
  mkdirSync(folder);
  const run = (...command: string[]): void => {
    const [file, ...rest] = [...(asRoot() ?? []), ...command];
    execFileSync(file!, rest, { stdio: 'pipe' });
  };
  const owner = `uid=${process.getuid?.() ?? 0},gid=${process.getgid?.() ?? 0}`;
  run('mount', '-t', 'tmpfs', '-o', `size=64k,mode=0700,${owner}`, 'tmpfs', folder);
  t.teardown(() => run('umount', '--lazy', folder));
  return folder;
}

/** Writes until there is no room left. */
function fill(path: string): void {
  const fd = openSync(path, 'w');
  try {
    for (;;) writeSync(fd, Buffer.alloc(512));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  } finally {
    closeSync(fd);
  }
}
