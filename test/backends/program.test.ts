import { chmodSync, mkdirSync, renameSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fileFingerprint, findProgram } from '../../src/backends/program.js';
import { native } from '../../src/os/native.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

t.test('a program is the first executable file of that name on PATH', (t) => {
  const folder = temporaryFolder(t);
  const [absent, notExecutable, aFolder, first, second] = ['a', 'b', 'c', 'd', 'e'].map((name) => join(folder, name));
  writeFile(notExecutable!, 'tool', '', 0o600);
  mkdirSync(join(aFolder!, 'tool'), { recursive: true });
  for (const place of [first!, second!]) writeFile(place, 'tool', '', 0o700);
  const PATH = [absent, notExecutable, aFolder, first, second].join(':');
  t.equal(findProgram('tool', { PATH }), join(first!, 'tool'));
  t.equal(findProgram('other', { PATH }), undefined);
  t.end();
});

t.test('a symlink to a program is one', (t) => {
  const folder = temporaryFolder(t);
  writeFile(folder, 'target', '', 0o700);
  symlinkSync('target', join(folder, 'tool'));
  symlinkSync('nowhere', join(folder, 'dangling'));
  t.equal(findProgram('tool', { PATH: folder }), join(folder, 'tool'));
  t.equal(findProgram('dangling', { PATH: folder }), undefined);
  t.end();
});

t.test('the working directory is never searched, whatever PATH says', (t) => {
  const folder = temporaryFolder(t);
  writeFile(folder, 'tool', '', 0o700);
  const before = process.cwd();
  t.teardown(() => process.chdir(before));
  process.chdir(folder);
  for (const PATH of ['', '.', ':', './', '::/nowhere', undefined]) t.equal(findProgram('tool', { PATH }), undefined);
  t.equal(findProgram('tool', {}), undefined);
  t.end();
});

for (const [how, kernel] of [
  ['by the kernel', native],
  ['by Node', null],
] as const) {
  const fingerprint = (file: string): string | undefined => fileFingerprint(file, kernel);

  t.test(`a fingerprint tells a file from another one and from its own past ${how}`, (t) => {
    const folder = temporaryFolder(t);
    const file = writeFile(folder, 'tool', 'one', 0o700);
    const seen = [fingerprint(file)];
    t.equal(fingerprint(file), seen[0], 'the same as long as nothing happens');

    chmodSync(file, 0o755);
    seen.push(fingerprint(file));
    writeFile(folder, 'tool', 'two!', 0o755);
    seen.push(fingerprint(file));
    utimesSync(file, 1, 1);
    seen.push(fingerprint(file));
    renameSync(writeFile(folder, 'new', 'two!', 0o755), file);
    seen.push(fingerprint(file));
    t.equal(new Set(seen).size, seen.length);
    t.end();
  });

  t.test(`a fingerprint follows symlinks ${how}`, (t) => {
    const folder = temporaryFolder(t);
    const target = writeFile(folder, 'target', 'one', 0o700);
    symlinkSync('target', join(folder, 'link'));
    t.equal(fingerprint(join(folder, 'link')), fingerprint(target));
    t.end();
  });

  t.test(`what cannot be looked at has no fingerprint ${how}`, (t) => {
    const folder = temporaryFolder(t);
    symlinkSync('loop', join(folder, 'loop'));
    const file = writeFile(folder, 'file', '');
    for (const path of [join(folder, 'absent'), join(folder, 'loop'), join(file, 'below'), `${folder}/\0`]) {
      t.equal(fingerprint(path), undefined);
    }
    t.end();
  });
}
