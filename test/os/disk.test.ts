import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { onDisk, statFile } from '../../src/os/disk.js';
import { native } from '../../src/os/native.js';
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
