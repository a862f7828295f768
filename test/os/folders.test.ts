import { existsSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import t from 'tap';
import { makeFolders } from '../../src/os/folders.js';
import { temporaryFolder } from '../support/temporary.js';

t.test('a folder is made with those above it, and what is there is left as it is', (t) => {
  const there = temporaryFolder(t);
  const { mode } = statSync(there);
  const folder = join(there, 'a', 'b');
  const made: string[] = [];
  for (const path of [folder, folder, relative('.', join(there, 'c'))]) {
    makeFolders(path, 0o700, (folder) => made.push(folder));
  }
  t.same(made, [join(there, 'a'), folder, relative('.', join(there, 'c'))]);
  for (const path of made) t.equal(statSync(path).mode & 0o7777, 0o700);
  t.equal(statSync(there).mode, mode);
  t.end();
});

t.test('a folder that somebody else makes meanwhile is as good, and was not made', (t) => {
  const folder = join(temporaryFolder(t), 'a', 'b');
  const made: string[] = [];
  makeFolders(folder, 0o700, (above) => {
    made.push(above);
    mkdirSync(folder);
  });
  t.same(made, [join(folder, '..')]);
  t.end();
});

t.test('a link to a folder is one', (t) => {
  const there = temporaryFolder(t);
  symlinkSync(there, join(there, 'link'));
  makeFolders(join(there, 'link', 'a'), 0o700);
  t.ok(existsSync(join(there, 'a')));
  t.end();
});

t.test(
  'where nothing can be made that is told, and it ends',
  { skip: !existsSync('/proc/self') && 'no /proc' },
  (t) => {
    for (const folder of ['/proc/x', '/proc/x/y', '/proc/self/x']) {
      t.throws(
        () => {
          makeFolders(folder, 0o700);
        },
        { message: /mkdir/ },
      );
    }
    t.end();
  },
);
