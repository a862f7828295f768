import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { fileProblem, folderProblem, readConfigFile, runningUser } from '../../src/config/config_file.js';
import { asStranger, STRANGER } from '../support/stranger.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

const isRoot = process.geteuid?.() === 0;
const skip = isRoot ? false : 'only root can give files to others';

/** What is wrong with a file; nothing when it is read. */
function problemsOf(file: string): readonly string[] {
  const read = readConfigFile(file);
  return 'problems' in read ? read.problems : [];
}

// --- the bytes

t.test('a file is read with its bytes and its text', (t) => {
  const bytes = Buffer.from('a: é😀\n');
  const file = writeFile(temporaryFolder(t), 'f.yaml', bytes);
  t.same(readConfigFile(file), { bytes, text: 'a: é😀\n' });
  t.end();
});

t.test('an empty file is read', (t) => {
  t.same(readConfigFile(writeFile(temporaryFolder(t), 'f.yaml', '')), { bytes: Buffer.alloc(0), text: '' });
  t.end();
});

t.test('a byte order mark is no text', (t) => {
  t.match(readConfigFile(writeFile(temporaryFolder(t), 'f.yaml', '\ufeffa: 1')), { text: 'a: 1' });
  t.end();
});

t.test('a file that is not UTF-8 is told with the line', (t) => {
  const folder = temporaryFolder(t);
  for (const [name, bytes, line] of [
    ['latin1', Buffer.from('# ok\na: 1\n# ma\xdfe\nb: \xe9\n', 'latin1'), 3],
    ['no line ending', Buffer.from('a: \xe9', 'latin1'), 1],
    ['utf16', Buffer.from('\ufeffa: 1', 'utf16le'), 1],
    ['a surrogate', Buffer.from([0x61, 0x0a, 0xed, 0xa0, 0x80, 0x0a]), 2],
  ] as const) {
    t.same(problemsOf(writeFile(folder, name, bytes)), [`is not UTF-8 text (line ${line})`], name);
  }
  t.end();
});

t.test('a file may have 16 MiB', (t) => {
  const file = writeFile(temporaryFolder(t), 'f.yaml', '');
  truncateSync(file, 16 * 1024 * 1024);
  t.same(problemsOf(file), []);
  truncateSync(file, 16 * 1024 * 1024 + 1);
  t.same(problemsOf(file), ['is larger than 16777216 bytes']);
  t.end();
});

// --- what is no readable file

t.test('a file that is not there is told, without its path', (t) => {
  t.same(problemsOf(join(temporaryFolder(t), 'missing.yaml')), ['cannot be read: no such file or directory (ENOENT)']);
  t.end();
});

t.test('a path through a file, and a name that no file can have, are told', (t) => {
  const file = writeFile(temporaryFolder(t), 'f.yaml', '');
  t.same(problemsOf(join(file, 'more')), ['cannot be read: not a directory (ENOTDIR)']);
  t.same(problemsOf('a\u0000b'), ['cannot be read: ERR_INVALID_ARG_VALUE']);
  t.end();
});

t.test('a symlink that leads nowhere, or to itself, is told', (t) => {
  const folder = temporaryFolder(t);
  symlinkSync('missing', join(folder, 'dangling'));
  symlinkSync('loop', join(folder, 'loop'));
  t.same(problemsOf(join(folder, 'dangling')), ['cannot be read: no such file or directory (ENOENT)']);
  t.match(problemsOf(join(folder, 'loop')), [/^cannot be read: .* \(ELOOP\)$/]);
  t.end();
});

t.test('a folder is no file', (t) => {
  t.same(problemsOf(temporaryFolder(t)), ['is a folder, not a file']);
  t.end();
});

t.test('a FIFO is no file, and nobody waits for its writer', (t) => {
  const fifo = join(temporaryFolder(t), 'fifo');
  execFileSync('mkfifo', [fifo]);
  t.same(problemsOf(fifo), ['is no regular file']);
  t.end();
});

t.test('a pipe is no file, though it has no path', (t) => {
  const fifo = join(temporaryFolder(t), 'fifo');
  execFileSync('mkfifo', [fifo]);
  const fd = openSync(fifo, constants.O_RDWR);
  t.teardown(() => closeSync(fd));
  rmSync(fifo);
  t.same(problemsOf(`/proc/self/fd/${fd}`), ['is no regular file']);
  t.end();
});

t.test('a device and a socket are no files', async (t) => {
  t.same(problemsOf('/dev/null'), ['is no regular file']);
  const path = join(temporaryFolder(t), 's.sock');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.same(problemsOf(path), ['is no regular file']);
  await new Promise((resolve) => server.close(resolve));
});

t.test('a file that the running user may not read is told', (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  const file = writeFile(folder, 'f.yaml', 'a: 1', 0o000);
  asStranger(() => t.same(problemsOf(file), ['cannot be read: permission denied (EACCES)']));
  t.end();
});

// --- who could have written it

const running = { uid: 1000, gid: 100 };

t.test('a file is trusted by its owner and its writers', (t) => {
  const everybody = 'may be written by everybody: chmod o-w it';
  const group = 'may be written by group 200: chmod g-w it';
  const foreign = 'is owned by uid 2000: it must belong to root or to the running user (uid 1000)';
  for (const [uid, gid, mode, expected] of [
    [1000, 100, 0o600, null],
    [0, 0, 0o644, null],
    [0, 200, 0o640, null],
    [1000, 100, 0o664, null],
    [1000, 0, 0o664, null],
    [1000, 200, 0o664, group],
    [0, 200, 0o620, group],
    [1000, 100, 0o602, everybody],
    [0, 0, 0o666, everybody],
    [2000, 100, 0o600, foreign],
    [2000, 2000, 0o666, foreign],
  ] as const) {
    const what = `${uid}:${gid} ${mode.toString(8)}`;
    t.equal(fileProblem({ uid, gid, mode: 0o100_000 + mode }, running), expected, what);
  }
  t.end();
});

t.test('a folder is trusted when nobody else could put another file in the place of one in it', (t) => {
  const everybody = 'stands in a folder that everybody may write (/f): it could be replaced; chmod o-w the folder';
  const group = 'stands in a folder that group 200 may write (/f): it could be replaced; chmod g-w the folder';
  const foreign = 'stands in a folder that is owned by uid 2000 (/f): it could be replaced';
  for (const [uid, gid, mode, expected] of [
    [1000, 100, 0o700, null],
    [0, 0, 0o755, null],
    [0, 100, 0o775, null],
    [0, 0, 0o775, null],
    [0, 200, 0o775, group],
    [0, 0, 0o777, everybody],
    [0, 0, 0o1777, null],
    [1000, 200, 0o1775, null],
    [2000, 100, 0o755, foreign],
    // The owner of a sticky folder may replace what is in it.
    [2000, 100, 0o1777, foreign],
  ] as const) {
    const what = `${uid}:${gid} ${mode.toString(8)}`;
    t.equal(folderProblem('/f', { uid, gid, mode: 0o040_000 + mode }, running), expected, what);
  }
  t.end();
});

t.test('root trusts root alone', (t) => {
  t.equal(fileProblem({ uid: 0, gid: 0, mode: 0o100_644 }, { uid: 0, gid: 0 }), null);
  t.match(fileProblem({ uid: 1000, gid: 0, mode: 0o100_644 }, { uid: 0, gid: 0 }), 'is owned by uid 1000');
  t.end();
});

t.test('the running user is who the user database says', (t) => {
  t.same(
    runningUser(() => ({ uid: 7, gid: 8 })),
    { uid: 7, gid: 8 },
  );
  t.equal(runningUser().uid, process.geteuid?.());
  t.end();
});

t.test('a user whom the database does not know is known by number', (t) => {
  const nobody = (): never => {
    throw new Error('no such user');
  };
  t.same(runningUser(nobody), { uid: process.geteuid?.(), gid: process.getegid?.() });
  t.end();
});

t.test('a file that everybody may write is refused', (t) => {
  const file = writeFile(temporaryFolder(t), 'f.yaml', 'a: 1', 0o666);
  t.same(problemsOf(file), ['may be written by everybody: chmod o-w it']);
  t.end();
});

t.test('a folder that everybody may write is refused, a sticky one is not', (t) => {
  const folder = temporaryFolder(t);
  const file = writeFile(folder, 'f.yaml', 'a: 1');
  chmodSync(folder, 0o777);
  t.same(problemsOf(file), [
    `stands in a folder that everybody may write (${folder}): it could be replaced; chmod o-w the folder`,
  ]);
  chmodSync(folder, 0o1777);
  t.same(problemsOf(file), []);
  t.end();
});

t.test('what is wrong with the file and with its folder is told at once', (t) => {
  const folder = temporaryFolder(t);
  const file = writeFile(folder, 'f.yaml', 'a: 1', 0o666);
  truncateSync(file, 64 * 1024 * 1024 + 1);
  chmodSync(folder, 0o777);
  t.match(problemsOf(file), [/^may be written/, /^stands in a folder/, /^is larger/]);
  t.end();
});

t.test('of a symlink the target counts, and the folder that it stands in', (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['good', 'open', 'links']) mkdirSync(join(folder, name), { mode: 0o700 });
  const good = writeFile(folder, 'good/good.yaml', 'a: 1');
  const writable = writeFile(folder, 'good/writable.yaml', 'a: 1', 0o666);
  const replaceable = writeFile(folder, 'open/replaceable.yaml', 'a: 1');
  chmodSync(join(folder, 'open'), 0o777);
  const linkTo = (target: string, name: string): string => {
    symlinkSync(target, join(folder, name));
    return join(folder, name);
  };
  t.same(problemsOf(linkTo(good, 'links/a')), []);
  t.match(problemsOf(linkTo(writable, 'links/b')), [/^may be written by everybody/]);
  t.match(problemsOf(linkTo(replaceable, 'links/c')), [/^stands in a folder that everybody may write/]);
  t.match(problemsOf(linkTo('b', 'links/d')), [/^may be written by everybody/], 'a link to a link');
  t.end();
});

t.test('a file of another user is refused', { skip }, (t) => {
  const file = writeFile(temporaryFolder(t), 'f.yaml', 'a: 1');
  chownSync(file, STRANGER, 0);
  t.same(problemsOf(file), [
    `is owned by uid ${STRANGER}: it must belong to root or to the running user (uid ${process.geteuid?.() ?? ''})`,
  ]);
  t.end();
});

t.test('a folder of another user is refused', { skip }, (t) => {
  const folder = temporaryFolder(t);
  const file = writeFile(folder, 'f.yaml', 'a: 1');
  chownSync(folder, STRANGER, 0);
  t.same(problemsOf(file), [`stands in a folder that is owned by uid ${STRANGER} (${folder}): it could be replaced`]);
  t.end();
});

t.test("a file that a foreign group may write is refused, one of root's group is not", { skip }, (t) => {
  const file = writeFile(temporaryFolder(t), 'f.yaml', 'a: 1', 0o660);
  t.same(problemsOf(file), [], 'gid 0');
  chownSync(file, 0, STRANGER);
  t.same(problemsOf(file), [`may be written by group ${STRANGER}: chmod g-w it`]);
  chmodSync(file, 0o640);
  t.same(problemsOf(file), [], 'it may be read by anybody');
  t.end();
});

t.test("files of root and of the running user are read, and their group may be the user's own", { skip }, (t) => {
  const folder = temporaryFolder(t);
  const own = writeFile(folder, 'own.yaml', 'a: 1', 0o660);
  const ofRoot = writeFile(folder, 'root.yaml', 'a: 1', 0o644);
  const { uid, gid } = { uid: STRANGER, gid: process.getegid?.() ?? 0 };
  chownSync(own, uid, gid);
  chownSync(folder, uid, gid);
  asStranger(() => {
    t.same(problemsOf(own), []);
    t.same(problemsOf(ofRoot), []);
  });
  t.end();
});
