import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { appendFileSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { BackendFailure } from '../../src/backends/backend.js';
import * as contained from '../../src/backends/contained_file.js';
import * as disk from '../../src/os/disk.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';
import { until } from '../support/until.js';

type Contained = typeof contained;

const NO_ENTRY = 'secret_not_found/entry_missing';

function never(): AbortSignal {
  return new AbortController().signal;
}

function shown(answer: Buffer | BackendFailure): string {
  return Buffer.isBuffer(answer) ? answer.toString() : `${answer.code}/${answer.reason}`;
}

/** The module on a disk that does some things otherwise. */
function withDisk(t: Test, changes: Partial<typeof disk>): Promise<Contained> {
  return t.mockImport<Contained>('../../src/backends/contained_file.js', {
    '../../src/os/disk.ts': { ...disk, ...changes },
  });
}

/** The module where nothing is in the system's memory, or the system is too old to say so. */
const uncached = await withDisk(t, {
  holdFile: (place) => disk.holdFile(place, null),
  readFile: (fd, buffer, at, length) => disk.readFile(fd, buffer, at, length, null),
});

/** What is read of a path below a root, or code and reason. */
async function readBy(module: Contained, root: string, path: string): Promise<string> {
  const signal = never();
  return shown(await module.withContainedFile(root, path, signal, (file) => module.readBounded(file, 1_000, signal)));
}

/** The same, and it makes no difference what is in the system's memory. */
async function read(root: string, path: string): Promise<string> {
  const [one, other] = [await readBy(contained, root, path), await readBy(uncached, root, path)];
  return one === other ? one : `${one}, or ${other}`;
}

/** A root with an entry, beside a file that is none. */
function roots(t: Test): { folder: string; root: string } {
  const folder = temporaryFolder(t);
  writeFile(folder, 'root/a/entry', 'value');
  writeFile(folder, 'outside', 'outside');
  writeFile(folder, 'root-beside/entry', 'outside');
  return { folder, root: join(folder, 'root') };
}

/** How many descriptors lead below the folder: all that are open would count those of others, too, that are being closed. */
function openBelow(folder: string): number {
  const placeOf = (fd: string): string => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return 'that of the list itself';
    }
  };
  return readdirSync('/proc/self/fd').filter((fd) => placeOf(fd).startsWith(folder)).length;
}

t.test('a regular file below the root is read', async (t) => {
  const { root } = roots(t);
  t.equal(await read(root, 'a/entry'), 'value');
  t.equal(await read(`${root}/`, 'a/entry'), 'value');
  t.equal(await read('/', join(root, 'a/entry').slice(1)), 'value', 'the root may be the root of all');
});

t.test('what is not there and a folder are no entries', async (t) => {
  const { root } = roots(t);
  for (const path of ['b', 'a/b', 'a/entry/b', 'a', 'x'.repeat(300)]) t.equal(await read(root, path), NO_ENTRY, path);
  symlinkSync('loop', join(root, 'loop'));
  t.equal(await read(root, 'loop'), NO_ENTRY);
});

t.test('a symlink inside the root is followed, one that leads out of it is no entry', async (t) => {
  const { folder, root } = roots(t);
  for (const [name, target, value] of [
    ['relative', 'a/entry', 'value'],
    ['absolute', join(root, 'a/entry'), 'value'],
    ['out and in again', '../root/a/entry', 'value'],
    ['up', '../outside', NO_ENTRY],
    ['absolute and out', join(folder, 'outside'), NO_ENTRY],
    ['a folder that begins with the same letters', '../root-beside/entry', NO_ENTRY],
    ['the folder above', '..', NO_ENTRY],
    ['a file of the system', '/etc/passwd', NO_ENTRY],
    ['nowhere', 'nowhere', NO_ENTRY],
    ['what the process has open', '/proc/self/fd/0', NO_ENTRY],
  ] as const) {
    symlinkSync(target, join(root, name));
    t.equal(await read(root, name), value, name);
  }
  symlinkSync(folder, join(root, 'folder'));
  t.equal(await read(root, 'folder/outside'), NO_ENTRY, 'through a folder');
  t.equal(await read(root, 'folder/root/a/entry'), 'value', 'through a folder and back');
});

t.test('a path that climbs is contained, too', async (t) => {
  const { root } = roots(t);
  t.equal(await read(root, '../outside'), NO_ENTRY);
  t.equal(await read(root, '../root/a/entry'), 'value');
});

t.test('the root may be a symlink', async (t) => {
  const { folder, root } = roots(t);
  symlinkSync(root, join(folder, 'link'));
  t.equal(await read(join(folder, 'link'), 'a/entry'), 'value');
  symlinkSync('../outside', join(root, 'up'));
  t.equal(await read(join(folder, 'link'), 'up'), NO_ENTRY);
});

t.test('names may be any bytes, and two that look the same as text are two', async (t) => {
  const { folder } = roots(t);
  const bytes = (...parts: (string | number)[]): Buffer =>
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))));
  mkdirSync(bytes(folder, '/r', 0xff));
  mkdirSync(bytes(folder, '/r', 0xfe));
  writeFileSync(bytes(folder, '/r', 0xff, '/inside'), 'value');
  writeFileSync(bytes(folder, '/r', 0xfe, '/other'), 'outside');
  symlinkSync(bytes('r', 0xff), join(folder, 'link'));
  symlinkSync(bytes('../r', 0xfe, '/other'), bytes(folder, '/r', 0xff, '/up'));
  t.equal(await read(join(folder, 'link'), 'inside'), 'value');
  t.equal(await read(join(folder, 'link'), 'up'), NO_ENTRY);
});

t.test('a FIFO, a socket and a device are no regular files, and none of them is opened', async (t) => {
  const { root } = roots(t);
  const wrong = 'backend_failed/no_regular_file';
  execFileSync('mkfifo', [join(root, 'fifo')]); // to open it would wait for a writer for ever
  t.equal(await read(root, 'fifo'), wrong);
  const server = createServer().listen(join(root, 'socket'));
  t.teardown(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  t.equal(await read(root, 'socket'), wrong);
  t.equal(await read('/dev', 'null'), wrong);
});

t.test('a root that is not there, or is no directory, is told apart from an entry that is not', async (t) => {
  const { folder } = roots(t);
  for (const name of ['nothing', 'outside', 'outside/below']) {
    t.equal(await read(join(folder, name), 'entry'), 'backend_unavailable/root_missing', name);
    t.same(await contained.probeDirectory(join(folder, name)), {
      ok: false,
      code: 'backend_unavailable',
      reason: 'root_missing',
    });
  }
  t.same(await contained.probeDirectory(folder), { ok: true });
});

t.test('what the user may not read or enter is told', async (t) => {
  const { folder, root } = roots(t);
  writeFile(root, 'closed', 'value', 0o000);
  execFileSync('chmod', ['-R', 'a+X', folder]);
  mkdirSync(join(root, 'shut'), { mode: 0o000 });
  const { seteuid, geteuid } = process as Required<NodeJS.Process>;
  const isRoot = geteuid() === 0;
  if (isRoot) seteuid(65_534);
  t.teardown(() => (isRoot ? seteuid(0) : undefined));
  t.equal(await read(root, 'closed'), 'backend_failed/permission_denied');
  t.equal(await read(root, 'shut/entry'), 'backend_failed/permission_denied');
  t.equal(await read(join(root, 'shut/below'), 'entry'), 'backend_unavailable/root_missing');
});

// --- races

t.test('a file that is renamed or removed once it is held is read all the same', async (t) => {
  const { root } = roots(t);
  const signal = never();
  for (const meanwhile of [() => renameSync(join(root, 'a'), join(root, 'b')), () => rmSync(join(root, 'b/entry'))]) {
    const name = readdirSync(root)[0]!;
    const value = await contained.withContainedFile(root, `${name}/entry`, signal, async (file) => {
      meanwhile();
      return shown(await contained.readBounded(file, 1_000, signal));
    });
    t.equal(value, 'value');
  }
});

/** The module where something happens once a file is held and before it is looked at. */
async function withMeanwhile(t: Test, meanwhile: () => void): Promise<Contained> {
  return withDisk(t, {
    async holdFile(place) {
      const fd = await disk.holdFile(place);
      if (place.isDirectory !== true) meanwhile(); // not when it is the root that is held
      return fd;
    },
  });
}

t.test('what is put into the place of a file once it is held is not opened', async (t) => {
  const { root } = roots(t);
  const entry = join(root, 'a/entry');
  const module = await withMeanwhile(t, () => {
    rmSync(entry);
    symlinkSync('../../outside', entry);
  });
  t.equal(await readBy(module, root, 'a/entry'), 'value', 'the file that was there');
  t.equal(await read(root, 'a/entry'), NO_ENTRY, 'the next one sees the symlink');
});

t.test('a symlink that is put into the place of the root once it is held changes nothing', async (t) => {
  const { folder, root } = roots(t);
  const module = await withDisk(t, {
    async holdFile(place) {
      const fd = await disk.holdFile(place);
      if (place.isDirectory === true) {
        renameSync(root, join(folder, 'moved'));
        symlinkSync('root-beside', root);
      }
      return fd;
    },
  });
  t.equal(await readBy(module, root, 'a/entry'), 'value');
  t.equal(await read(root, 'a/entry'), NO_ENTRY);
});

t.test('a file that is moved out of the root before it is looked at is no entry', async (t) => {
  const { folder, root } = roots(t);
  const module = await withMeanwhile(t, () => renameSync(join(root, 'a'), join(folder, 'a')));
  t.equal(await readBy(module, root, 'a/entry'), NO_ENTRY);
});

t.test('a root that is renamed before its entry is looked at contains it all the same, and nothing else', async (t) => {
  const { folder, root } = roots(t);
  symlinkSync('../outside', join(root, 'up'));
  const moved = join(folder, 'moved');
  const module = await withMeanwhile(t, () => renameSync(root, moved));
  for (const [path, expected] of [
    ['a/entry', 'value'],
    ['up', NO_ENTRY],
  ] as const) {
    t.equal(await readBy(module, root, path), expected);
    renameSync(moved, root);
  }
});

t.test('a root that is renamed between any two looks is not looked at for ever', async (t) => {
  const { folder, root } = roots(t);
  const names = [root, join(folder, 'moved')] as const;
  let looks = 0;
  const module = await t.mockImport<Contained>('../../src/backends/contained_file.js', {
    'node:fs': {
      ...fs,
      readlinkSync(path: string, options: { encoding: 'buffer' }) {
        const place = fs.readlinkSync(path, options);
        renameSync(names[looks % 2]!, names[(looks + 1) % 2]!);
        looks += 1;
        return place;
      },
    },
  });
  t.equal(await readBy(module, root, 'a/entry'), NO_ENTRY);
  t.ok(looks > 2);
});

t.test('whatever is swapped how often: a reader sees the inside or nothing, never the outside', async (t) => {
  const { root } = roots(t);
  // A process of its own swaps the entry for a symlink that leads out of the root and back, as fast as it can.
  const swapper = execSwapper(t, join(root, 'a'));
  const seen = new Set<string>();
  const until = performance.now() + 500;
  while (performance.now() < until || seen.size < 2)
    for (const module of [contained, uncached]) seen.add(await readBy(module, root, 'a/entry'));
  swapper.kill('SIGKILL');
  t.same([...seen].sort(), [NO_ENTRY, 'value']);
});

function execSwapper(t: Test, folder: string): ReturnType<typeof spawn> {
  const source = `
    const { renameSync, symlinkSync, writeFileSync } = require('node:fs');
    process.chdir(${JSON.stringify(folder)});
    for (;;) {
      symlinkSync('../../outside', 'link');
      renameSync('link', 'entry');
      writeFileSync('file', 'value');
      renameSync('file', 'entry');
    }`;
  const child = spawn(process.execPath, ['--eval', source], { stdio: 'ignore', env: {} });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

// --- reading

t.test('a file has at most the bytes that were allowed, also where it grows while it is read', async (t) => {
  const folder = temporaryFolder(t);
  const file = writeFile(folder, 'entry', 'x'.repeat(1_000));
  t.equal(await read(folder, 'entry'), 'x'.repeat(1_000));
  appendFileSync(file, 'x');
  t.equal(await read(folder, 'entry'), 'backend_failed/value_too_large');

  const growing = (by: number): Promise<string> => {
    writeFileSync(file, 'x'.repeat(500));
    return contained
      .withContainedFile(folder, 'entry', never(), (opened) => {
        appendFileSync(file, 'y'.repeat(by));
        return contained.readBounded(opened, 1_000, never());
      })
      .then(shown);
  };
  t.equal(await growing(500), 'x'.repeat(500) + 'y'.repeat(500));
  t.equal(await growing(501), 'backend_failed/value_too_large');
});

t.test('the value is in a Buffer that nothing else refers to', async (t) => {
  const { root } = roots(t);
  const signal = never();
  const first = await contained.withContainedFile(root, 'a/entry', signal, (file) =>
    contained.readBounded(file, 1_000, signal),
  );
  t.ok(Buffer.isBuffer(first) && first.buffer.byteLength <= 'value'.length + 1);
});

/** Reads a byte, and then no more; gives the Buffers that were to be filled, too. */
async function readFailing(t: Test, root: string, fail: () => Promise<never>): Promise<[string, Buffer[]]> {
  const buffers: Buffer[] = [];
  const module = await withDisk(t, {
    readFile(fd, buffer, at) {
      buffers.push(buffer);
      return buffers.length === 1 ? disk.readFile(fd, buffer, at, 1) : fail();
    },
  });
  return [await readBy(module, root, 'a/entry'), buffers];
}

t.test('what was read before a failure is filled with zeros', async (t) => {
  const { root } = roots(t);
  const [answer, buffers] = await readFailing(t, root, () =>
    Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })),
  );
  t.equal(answer, 'backend_unavailable/cannot_read');
  t.equal(buffers.length, 2);
  for (const buffer of buffers) t.ok(buffer.every((byte) => byte === 0));
  await until(() => openBelow(root) === 0); // nothing stays open
});

t.test('an aborted call opens and reads no further', async (t) => {
  const { root } = roots(t);
  const timedOut = { ok: false, code: 'backend_timeout', reason: 'timeout' };
  const aborted = AbortSignal.abort();
  const use = (): Promise<string> => Promise.resolve('used');
  t.same(await contained.withContainedFile(root, 'a/entry', aborted, use), timedOut);
  const controller = new AbortController();
  const module = await withMeanwhile(t, () => controller.abort());
  t.same(await module.withContainedFile(root, 'a/entry', controller.signal, use), timedOut);
  const late = await contained.withContainedFile(root, 'a/entry', never(), (file) =>
    contained.readBounded(file, 1_000, aborted),
  );
  t.same(late, timedOut);
  await until(() => openBelow(root) === 0);
});

// --- what a real system does not show on demand

/** The module where the kernel tells so many places, and no more. */
function withoutPlaces(t: Test, told: number): Promise<Contained> {
  let calls = 0;
  return t.mockImport<Contained>('../../src/backends/contained_file.js', {
    'node:fs': {
      ...fs,
      readlinkSync(path: string, options: { encoding: 'buffer' }) {
        calls += 1;
        if (calls > told) throw Object.assign(new Error('ENAMETOOLONG'), { code: 'ENAMETOOLONG' });
        return fs.readlinkSync(path, options);
      },
    },
  });
}

function systemError(code: string): () => Promise<never> {
  return () => Promise.reject(Object.assign(new Error(code), { code }));
}

t.test('without /proc nothing is opened, as nothing could be checked', async (t) => {
  const { root } = roots(t);
  const module = await withoutPlaces(t, 0);
  t.equal(await readBy(module, root, 'a/entry'), 'backend_unavailable/proc_missing');
  t.match(await module.probeDirectory(root), { ok: false, reason: 'proc_missing' });
});

t.test('a system that fails otherwise makes the store unavailable', async (t) => {
  const { root } = roots(t);
  for (const failing of [{ holdFile: systemError('EMFILE') }, { openFile: systemError('EMFILE') }]) {
    const module = await withDisk(t, failing);
    t.equal(await readBy(module, root, 'a/entry'), 'backend_unavailable/cannot_read');
  }
  const unreadable = await withoutPlaces(t, 1);
  t.equal(await readBy(unreadable, root, 'a/entry'), NO_ENTRY);
});
