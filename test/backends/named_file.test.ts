import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readNamedFile } from '../../src/backends/named_file.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

t.test('a file is read as it is, also through a symlink', async (t) => {
  const folder = temporaryFolder(t);
  const bytes = Buffer.from([0, 255, 10]);
  const file = writeFile(folder, 'file', bytes);
  symlinkSync(file, join(folder, 'link'));
  t.same(await readNamedFile(file), bytes);
  t.same(await readNamedFile(join(folder, 'link')), bytes);
  t.same(await readNamedFile(writeFile(folder, 'empty', '')), Buffer.alloc(0));
});

t.test('what is not there, no file or too large cannot be had, and nothing is waited for', async (t) => {
  const folder = temporaryFolder(t);
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  t.equal(await readNamedFile(join(folder, 'none')), undefined);
  t.equal(await readNamedFile(folder), undefined);
  t.equal(await readNamedFile(join(folder, 'fifo')), undefined);
  t.equal(await readNamedFile('/dev/zero'), undefined);
  t.equal(await readNamedFile(writeFile(folder, 'large', Buffer.alloc(4_194_305))), undefined);
});
