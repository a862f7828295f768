import { execFileSync } from 'node:child_process';
import fs, { fstatSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import t from 'tap';
import { type Child, signalGroup, startChild } from '../../src/backends/child.js';
import { type Native, native } from '../../src/os/native.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';
import { until } from '../support/until.js';

const kernel = native as Native;
const PATH = process.env['PATH'] ?? '';

/** Those that this process itself got without asking, the three of every process, and that of the listing. */
const inherited = execFileSync('/bin/sh', ['-c', 'ls /proc/self/fd | wc -l'], { encoding: 'utf8' }).trim();

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(how: Native | null, file: string, args: readonly string[], take: (text: string, from: 1 | 2) => void) {
  const taken = (from: 1 | 2) => (piece: Buffer) => take(piece.toString('latin1'), from);
  return startChild({ file, args, env: { PATH, NAME: 'wörth' } }, [taken(1), taken(2)], how);
}

async function run(how: Native | null, file: string, ...args: string[]): Promise<Ran | string> {
  const texts = { 1: '', 2: '' };
  const child = await start(how, file, args, (text, from) => void (texts[from] += text));
  if (typeof child === 'string') return child;
  const [status] = await Promise.all([child.exit, child.written]);
  return { status, stdout: texts[1], stderr: texts[2] };
}

for (const [name, how] of [
  ['without a copy of this process', kernel],
  ['by Node, where the other way is not to be had', null],
] as const) {
  t.test(`a program is started ${name}`, async (t) => {
    await t.test('with its arguments, and its whole environment', async (t) => {
      const ran = await run(
        how,
        '/usr/bin/env',
        'sh',
        '-c',
        'env | sort | grep -v "^\\(PWD\\|SHLVL\\|_.*\\|TAP.*\\|NODE_.*\\)=\\|^[^=]*$"; echo "$1" >&2; exit 7',
        'sh',
        'ä b',
      );
      const [stdout, stderr] = [`NAME=wörth\nPATH=${PATH}\n`, 'ä b\n'].map((text) =>
        Buffer.from(text).toString('latin1'),
      );
      t.same(ran, { status: 7, stdout, stderr });
    });

    await t.test(
      'in / and in a group of its own, with no input, no other descriptor and no signal ignored',
      async (t) => {
        const script =
          'pwd; ps -o pgid= -p $$ | tr -d " "; echo $$; cat; ls /proc/self/fd | wc -l; grep Sig[IB] /proc/self/status';
        const ran = (await run(how, '/bin/sh', '-c', script)) as Ran;
        const [folder, group, pid, descriptors, ...masks] = ran.stdout.trim().split('\n');
        t.same([folder, group, descriptors], ['/', pid, inherited]);
        for (const mask of masks) t.match(mask, /^Sig(?:Blk|Ign):\s+0+$/);
        t.equal(masks.length, 2);
      },
    );

    await t.test('with a descriptor 3 where there is somebody who takes what it writes there', async (t) => {
      let status = '';
      const ignore = (): void => undefined;
      const take = (piece: Buffer): void => void (status += piece.toString());
      const program = { file: '/bin/sh', args: ['-c', 'echo out; echo err >&2; echo status >&3'], env: { PATH } };
      const child = (await startChild(program, [ignore, ignore, take], how)) as Child;
      t.same(await Promise.all([child.exit, child.written.then(() => status)]), [0, 'status\n']);
    });

    await t.test('until what it writes is to be taken no more', async (t) => {
      let taken = '';
      const take = (text: string): void => void (taken += text);
      const child = (await start(how, '/bin/sh', ['-c', 'echo late'], take)) as Child;
      child.close();
      await Promise.all([child.exit, child.written]);
      t.equal(taken, '');
    });

    await t.test('and ends by a signal, or with many others at once', async (t) => {
      t.match(await run(how, '/bin/sh', '-c', 'kill -9 $$'), { status: null });
      const many = await Promise.all(
        Array.from({ length: 20 }, (_, status) => run(how, '/bin/sh', '-c', `exit ${status}`)),
      );
      t.same(
        many.map((ran) => (ran as Ran).status),
        Array.from({ length: 20 }, (_, status) => status),
      );
    });

    await t.test('and its whole group gets a signal, of which nobody is told when it is gone', async (t) => {
      const child = (await start(how, '/bin/sh', ['-c', 'sleep 1000 & wait'], () => undefined)) as Child;
      t.equal(signalGroup(child.pid, 0, how), true);
      t.equal(signalGroup(child.pid, 'SIGKILL', how), true);
      t.equal(await child.exit, null);
      await child.written; // the one in the background held them, too
      await until(() => !signalGroup(child.pid, 0, how));
      t.equal(signalGroup(child.pid, 'SIGKILL', how), false);
    });

    await t.test('or is not', async (t) => {
      const folder = temporaryFolder(t);
      t.equal(await run(how, `${folder}/absent`), 'missing');
      writeFile(folder, 'plain', 'text');
      t.equal(await run(how, `${folder}/plain`), 'cannot_start');
      t.equal(await run(how, '/bin/true', 'a\0b'), 'cannot_start');
      t.equal(await run(how, '/bin/true', 'x'.repeat(3_000_000)), 'cannot_start');
    });
  });
}

t.test('without a descriptor to be had nothing is started, and none is kept', async (t) => {
  const one = kernel.pipe();
  const pipes = [one, undefined];
  const closed = { ...kernel, pipe: () => pipes.shift() };
  t.equal(await run(closed, '/bin/true'), 'cannot_start');
  for (const fd of [one!.reading, one!.writing]) t.throws(() => fstatSync(fd), { code: 'EBADF' });
});

t.test('Node is asked for nothing that it could not give back, when descriptors run out', async (t) => {
  const { openSync } = fs;
  let left = 3;
  fs.openSync = (...what: Parameters<typeof openSync>) => {
    if (left === 0) throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
    left -= 1;
    return openSync(...what);
  };
  syncBuiltinESMExports();
  t.teardown(() => {
    fs.openSync = openSync;
    syncBuiltinESMExports();
  });
  t.equal(await run(null, '/bin/true'), 'cannot_start');
});

t.test('an end that no signal has told of is found all the same', async (t) => {
  let hidden = 2;
  const forgetful = { ...kernel, reap: (pid: number) => (hidden-- > 0 ? undefined : kernel.reap(pid)) };
  const child = (await start(forgetful, '/bin/true', [], () => undefined)) as Child;
  t.equal(await child.exit, 0);
});

t.test('what somebody else has reaped has ended, and nobody knows how', (t) => {
  t.equal(kernel.reap(process.pid), null);
  t.end();
});
