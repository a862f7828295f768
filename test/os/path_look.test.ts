import { linkSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameFile, lookAtPath, type PathLook } from '../../src/os/path_look.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

t.test('a file is the same by whatever name', (t) => {
  const folder = temporaryFolder(t);
  const file = writeFile(folder, 'file', '');
  symlinkSync(file, join(folder, 'symlink'));
  linkSync(file, join(folder, 'link'));
  for (const name of ['file', 'symlink', 'link']) {
    t.ok(isSameFile(lookAtPath(file), lookAtPath(join(folder, name))), name);
  }
  t.notOk(isSameFile(lookAtPath(file), lookAtPath(writeFile(folder, 'other', ''))));
  t.end();
});

t.test('a link may stand for itself', (t) => {
  const folder = temporaryFolder(t);
  const file = writeFile(folder, 'file', '');
  symlinkSync(file, join(folder, 'symlink'));
  t.ok(isSameFile(lookAtPath(file), lookAtPath(file, lstatSync)));
  t.notOk(isSameFile(lookAtPath(file), lookAtPath(join(folder, 'symlink'), lstatSync)));
  t.end();
});

t.test('files are told apart by each digit of their numbers', (t) => {
  const look = (dev: bigint, ino: bigint): PathLook => ({ dev, ino }) as PathLook;
  const ino = 2n ** 62n;
  t.ok(isSameFile(look(1n, ino), look(1n, ino)));
  t.notOk(isSameFile(look(1n, ino), look(1n, ino + 1n)));
  t.notOk(isSameFile(look(1n, ino), look(2n, ino)));
  t.end();
});

t.test('what is not there, or cannot be looked at, is the same as nothing', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'folder'));
  symlinkSync('loop', join(folder, 'loop'));
  const looks = ['missing', 'folder/missing', 'loop'].map((name) => lookAtPath(join(folder, name)));
  t.same(looks, ['nothing', 'nothing', 'unknown']);
  t.same(lookAtPath(join(writeFile(folder, 'file', ''), 'below')), 'nothing');
  for (const look of looks) {
    t.notOk(isSameFile(look, look));
    t.notOk(isSameFile(lookAtPath(folder), look));
  }
  t.end();
});
