import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { holdFile, letGoOf, onDisk, readFile, statFile } from '../../src/os/disk.js';
import { type Native, native } from '../../src/os/native.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

t.test('of operations that hang only two are begun, and the others when those have ended', async (t) => {
  const begun: (() => void)[] = [];
  const hanging = Array.from({ length: 3 }, () => onDisk<undefined>((done) => begun.push(() => done(null, undefined))));
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(begun.length, 2);
  begun[0]?.();
  await hanging[0];
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(begun.length, 3);
  for (const end of begun) end();
  await Promise.all(hanging);
});

t.test('an operation that fails is told, and makes room as well', async (t) => {
  for (let count = 0; count < 3; count += 1)
    await t.rejects(
      onDisk((done) => done(new Error('EIO'), undefined)),
      /EIO/,
    );
  for (let count = 0; count < 3; count += 1)
    await t.rejects(
      onDisk(() => {
        throw new Error('EINVAL');
      }),
      /EINVAL/,
    );
  t.equal(await onDisk((done) => done(null, 'read')), 'read');
});

t.test('a file is looked at alike by the kernel and by way of the disk', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'directory'));
  const known = [
    [writeFile(folder, 'file', 'value'), { isFile: true, isDirectory: false, size: 5 }],
    [join(folder, 'directory'), { isFile: false, isDirectory: true }],
    ['/dev/null', { isFile: false, isDirectory: false, size: 0 }],
  ] as const;
  for (const [path, expected] of known) {
    const fd = openSync(path, 'r');
    for (const kernel of [native, null]) t.match(await statFile(fd, kernel), expected, path);
    closeSync(fd);
  }
  for (const kernel of [native, null]) await t.rejects(async () => statFile(0x7fffffff, kernel), { code: 'EBADF' });
});

t.test('what stands at a path is held alike out of memory and by way of the disk, and is not opened', async (t) => {
  const folder = temporaryFolder(t);
  const file = writeFile(folder, 'file', 'value');
  const directory = openSync(folder, 'r');
  for (const kernel of [native, null]) {
    for (const place of [{ path: file }, { path: 'file', directory }, { path: '/file', directory }]) {
      const held = holdFile(place, kernel);
      t.equal(held instanceof Promise, kernel === null);
      const fd = await held;
      t.equal(readlinkSync(`/proc/self/fd/${fd}`), file);
      // O_PATH, and no program gets it.
      t.match(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'), /^flags:\s+012\d00000$/m);
      letGoOf(fd);
      t.throws(() => fstatSync(fd), { code: 'EBADF' });
    }
    const root = await holdFile({ path: folder, isDirectory: true }, kernel);
    t.equal(readlinkSync(`/proc/self/fd/${root}`), folder);
    letGoOf(root);
    for (const [code, place] of [
      ['ENOTDIR', { path: file, isDirectory: true }],
      ['ENOENT', { path: 'nothing', directory }],
      ['ERR_INVALID_ARG_VALUE', { path: 'file\0', directory }], // and not the file whose name ends there
    ] as const) {
      await t.rejects(async () => holdFile(place, kernel), { code });
    }
  }
  closeSync(directory);
});

t.test('a file is read on alike out of memory and by way of the disk', async (t) => {
  const file = writeFile(temporaryFolder(t), 'file', `${'x'.repeat(70_000)}end`);
  const fd = openSync(file, 'r');
  const buffer = Buffer.alloc(70_010);
  t.equal(await readFile(fd, buffer, 2, 5), 5);
  t.same(buffer.subarray(0, 8), Buffer.from('\0\0xxxxx\0'), 'where it was asked for');
  t.equal(await readFile(fd, buffer, 7, 70_000), 69_998);
  t.equal(buffer.toString('latin1', 70_002, 70_005), 'end');
  for (const kernel of [native, null]) t.equal(await readFile(fd, buffer, 0, 5, kernel), 0, 'the end');
  const remembering = { ...(native as Native), readCached: () => 3 };
  t.equal(readFile(fd, buffer, 0, 5, remembering), 3, 'at once');
  t.equal(await readFile(fd, buffer, 0, 70_000, remembering), 0, 'by another thread, as it would be much');
  closeSync(fd);
  await t.rejects(async () => readFile(fd, buffer, 0, 5), { code: 'EBADF' });
});
