import { spawnSync } from 'node:child_process';
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import t from 'tap';
import { makeMemoryFolder, MemoryFolderError, memoryPlaces } from '../../src/os/memory_folder.js';
import { realComponent } from '../support/real_component.js';
import type { Ending } from '../support/temporary.js';

const TMPFS = 0x01021994;
const isTmpfs = existsSync('/dev/shm') && statfsSync('/dev/shm').type === TMPFS;
const { skip } = realComponent('a tmpfs at /dev/shm', isTmpfs ? '/dev/shm' : undefined);

/** A folder of ours on a tmpfs. */
function place(t: Ending): string {
  const folder = mkdtempSync('/dev/shm/test-');
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

t.test('the places are those of the user before that of everybody', (t) => {
  const uid = process.geteuid!();
  t.same(memoryPlaces({ XDG_RUNTIME_DIR: '/run/mine' }), ['/run/mine', `/run/user/${uid}`, '/dev/shm']);
  for (const XDG_RUNTIME_DIR of [undefined, '', 'relative']) {
    t.same(memoryPlaces({ XDG_RUNTIME_DIR }), [`/run/user/${uid}`, '/dev/shm']);
  }
  t.end();
});

t.test('a file is readable by its owner alone, in a folder that is the same, whatever the umask', { skip }, (t) => {
  const umask = process.umask(0);
  t.teardown(() => process.umask(umask));
  for (const mask of [0, 0o777]) {
    const folder = makeMemoryFolder([place(t)]);
    process.umask(mask);
    const value = Buffer.from('v\0\xff', 'latin1');
    const file = folder.write('KEY', value);
    process.umask(0);
    t.equal(dirname(file), folder.path);
    t.same(readFileSync(file), value);
    t.equal(statSync(file).mode & 0o7777, 0o600);
    t.equal(statSync(folder.path).mode & 0o7777, 0o700);
    t.equal(statfsSync(file).type, TMPFS);
    folder.remove();
    t.notOk(existsSync(folder.path));
    folder.remove(); // again, as somebody else may have removed it
  }
  t.end();
});

t.test('a folder that its user has removed already is nothing to complain of', { skip }, (t) => {
  const folder = makeMemoryFolder([place(t)]);
  folder.remove();
  t.doesNotThrow(() => folder.heldBy(process.pid));
  t.end();
});

t.test('an empty value is an empty file', { skip }, (t) => {
  const folder = makeMemoryFolder([place(t)]);
  t.equal(statSync(folder.write('KEY', Buffer.alloc(0))).size, 0);
  t.end();
});

t.test('a file that cannot be written is told without its path', { skip }, (t) => {
  const folder = makeMemoryFolder([place(t)]);
  folder.write('KEY', Buffer.from('a'));
  t.throws(
    () => folder.write('KEY', Buffer.from('b')),
    new MemoryFolderError('a file in memory cannot be written: EEXIST'),
  );
  t.end();
});

t.test('a place that is not in memory, not there or not safe is passed over', { skip }, (t) => {
  const writable = place(t);
  chmodSync(writable, 0o777);
  const good = place(t);
  const file = join(good, 'file');
  writeFileSync(file, '');
  const isRoot = process.geteuid!() === 0;
  const foreign = place(t);
  if (isRoot) spawnSync('chown', ['65534', foreign]);
  const unfit = ['/proc', temporaryOnDisk(), '/nonexistent', file, writable, ...(isRoot ? [foreign] : [])];
  t.throws(() => makeMemoryFolder(unfit), MemoryFolderError);
  t.equal(dirname(makeMemoryFolder([...unfit, good]).path), good);
  t.end();
});

/** The sources lie on a disk. */
function temporaryOnDisk(): string {
  return import.meta.dirname;
}

t.test('a place where no folder can be made is passed over', { skip }, (t) => {
  // The path of what would be made there is longer than any may be, whoever asks.
  const start = place(t);
  const deep = start + '/deep'.repeat(Math.floor((4_090 - start.length) / 5));
  mkdirSync(deep, { recursive: true });
  t.throws(() => makeMemoryFolder([deep]), /no file system in memory/);
  t.end();
});

t.test('a place that may not be listed is passed over', { skip }, (t) => {
  const [closed, open] = [place(t), place(t)];
  // To root, who may run this, every folder is open.
  const { readdirSync } = fs;
  fs.readdirSync = ((path: string) => {
    if (path === closed) throw new Error('EACCES');
    return readdirSync(path);
  }) as typeof readdirSync;
  syncBuiltinESMExports();
  t.teardown(() => {
    fs.readdirSync = readdirSync;
    syncBuiltinESMExports();
  });
  t.equal(dirname(makeMemoryFolder([closed, open]).path), open);
  t.end();
});

t.test('what a killed process has left is removed by the next one', { skip }, (t) => {
  const at = place(t);
  const abandoned = leftBehind(at);
  t.ok(existsSync(join(abandoned, 'KEY')));
  const next = makeMemoryFolder([at]);
  t.notOk(existsSync(abandoned));
  t.same(readdirSync(at), [next.path.slice(at.length + 1)]);
  t.end();
});

/** A folder as another process makes it and leaves it; gives its path. */
function leftBehind(at: string, script = ''): string {
  const module = new URL('../../src/os/memory_folder.ts', import.meta.url).href;
  const made = spawnSync(
    process.execPath,
    [
      ...process.execArgv,
      '--input-type=module',
      '--eval',
      `import { makeMemoryFolder } from '${module}'; const f = makeMemoryFolder(['${at}']); f.write('KEY', Buffer.from('v')); ${script}; console.log(f.path)`,
    ],
    { encoding: 'utf8' },
  );
  return made.stdout.trim();
}

t.test('what a living process uses stays', { skip }, (t) => {
  const at = place(t);
  const mine = makeMemoryFolder([at]);
  const command = leftBehind(at, `f.heldBy(${process.pid})`);
  makeMemoryFolder([at]);
  t.ok(existsSync(mine.path), 'the folder of a living process');
  t.ok(existsSync(command), 'and of a dead one whose command lives');
  t.end();
});

t.test('what somebody else has made there stays', { skip }, (t) => {
  const at = place(t);
  const others = ['mxm-secretsd-file', 'mxm-secretsd-young', 'mxm-secretsd-empty', 'mxm-secretsd-namespace', 'other'];
  writeFileSync(join(at, 'mxm-secretsd-file'), '');
  for (const name of others.slice(1)) mkdirSync(join(at, name));
  writeFileSync(join(at, 'mxm-secretsd-empty/.holders'), '');
  writeFileSync(join(at, 'mxm-secretsd-namespace/.holders'), 'pid:[1] 4194303 1\n');
  symlinkSync(at, join(at, 'mxm-secretsd-link'));
  makeMemoryFolder([at]);
  for (const name of [...others, 'mxm-secretsd-link']) t.ok(existsSync(join(at, name)), name);
  t.end();
});

t.test('a process whose number was given to another one counts as gone', { skip }, (t) => {
  const at = place(t);
  const folder = makeMemoryFolder([at]);
  const holders = join(folder.path, '.holders');
  writeFileSync(holders, readFileSync(holders, 'utf8').replace(/\d+\n/, '1\n'));
  makeMemoryFolder([at]);
  t.notOk(existsSync(folder.path));
  t.end();
});
