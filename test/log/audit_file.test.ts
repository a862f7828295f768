import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openAuditFile } from '../../src/log/audit_file.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

t.test('lines are appended to a file that only its owner may read', async (t) => {
  const path = join(temporaryFolder(t), 'audit.jsonl');
  for (const line of ['one\n', 'two\n']) {
    const file = openAuditFile(path, 1_000);
    t.equal(await file.append(line), true);
    await file.close();
  }
  t.equal(readFileSync(path, 'utf8'), 'one\ntwo\n');
  t.equal(statSync(path).mode & 0o777, 0o600);
});

t.test('closing waits for what was appended', async (t) => {
  const path = join(temporaryFolder(t), 'audit.jsonl');
  const file = openAuditFile(path, 1_000);
  const written = file.append('line\n');
  await file.close();
  t.equal(await written, true);
  t.equal(readFileSync(path, 'utf8'), 'line\n');
});

t.test('a close that the system complains of, as over a network, ends nothing', async (t) => {
  const path = join(temporaryFolder(t), 'audit.jsonl');
  const file = openAuditFile(path, 1_000);
  t.equal(await file.append('line\n'), true);
  const fd = readdirSync('/proc/self/fd').find((name) => isOpenAt(name, path));
  closeSync(Number(fd)); // so that there is nothing to close
  await t.resolves(file.close());
});

function isOpenAt(fd: string, path: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === path;
  } catch {
    return false; // that of the listing itself
  }
}

t.test('half a record that an earlier daemon has left does not swallow the next one', async (t) => {
  const path = writeFile(temporaryFolder(t), 'audit.jsonl', 'whole\n{"ha');
  const file = openAuditFile(path, 1_000);
  await file.append('next\n');
  await file.close();
  t.equal(readFileSync(path, 'utf8'), 'whole\n{"ha\nnext\n');
});

t.test('a full disk is told, and the file serves again when there is room', async (t) => {
  const file = openAuditFile('/dev/full', 1_000);
  t.equal(await file.append('line\n'), false);
  await file.close();
});

t.test('what others append meanwhile stays', async (t) => {
  const path = join(temporaryFolder(t), 'audit.jsonl');
  const file = openAuditFile(path, 1_000);
  await file.append('one\n');
  appendFileSync(path, 'theirs\n');
  await file.append('two\n');
  await file.close();
  t.equal(readFileSync(path, 'utf8'), 'one\ntheirs\ntwo\n');
});

t.test('a FIFO takes records while somebody reads it, and none that nobody would', async (t) => {
  const path = join(temporaryFolder(t), 'fifo');
  execFileSync('mkfifo', [path]);
  t.throws(() => openAuditFile(path, 1_000), { code: 'ENXIO' });
  const read = (): number => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const bytes = Buffer.alloc(100);

  const first = read();
  const file = openAuditFile(path, 1_000);
  t.equal(await file.append('one\n'), true);
  t.equal(readSync(first, bytes), 4);
  closeSync(first);
  t.equal(await file.append('two\n'), false);

  const second = read();
  t.equal(await file.append('three\n'), true);
  t.equal(bytes.toString('latin1', 0, readSync(second, bytes)), 'three\n');
  closeSync(second);
  await file.close();
});

t.test('a path leads to the open file until another stands there', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'audit.jsonl');
  const file = openAuditFile(path, 1_000);
  t.ok(file.isAt(path));
  renameSync(path, `${path}.1`);
  t.notOk(file.isAt(path));
  writeFile(folder, 'audit.jsonl', '');
  t.notOk(file.isAt(path));
  t.ok(file.isAt(`${path}.1`));
  await file.close();
});

t.test('what cannot be opened throws', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'folder'));
  t.throws(() => openAuditFile(join(folder, 'folder'), 1_000), { code: 'EISDIR' });
  t.throws(() => openAuditFile(join(folder, 'missing', 'audit.jsonl'), 1_000), { code: 'ENOENT' });
  t.end();
});
