import { type ChildProcess, spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import fs, {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { connect, createServer, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import t from 'tap';
import { listenOnFile, type OwnedSocketFile, SocketError, type SocketFile } from '../../src/os/socket_file.js';
import { nodeProgram } from '../support/node.js';
import { onPath, realComponent } from '../support/real_component.js';
import { leaveDeadSocket, rawServer, serverThatLeavesSocket, socketIn } from '../support/scripted_server.js';
import type { RacerOrder, RacerReport } from '../support/socket_racer.js';
import { asStranger } from '../support/stranger.js';
import { type Ending, temporaryFolder } from '../support/temporary.js';

const perl = realComponent('perl', onPath('perl'));

/** A group that this process may give its files to. */
const GID = process.getuid?.() === 0 ? 54_321 : (process.getgid?.() ?? 0);

interface Listening {
  readonly server: Server;
  readonly file: OwnedSocketFile;
}

/** A server that says `mine` to everybody. */
async function listen(t: Ending, path: string, rest: Partial<SocketFile> = {}): Promise<Listening> {
  const server = createServer((socket) => socket.on('error', () => undefined).end('mine'));
  t.teardown(() => server.close());
  return { server, file: await listenOnFile(server, { path, mode: 0o600, ...rest }) };
}

/** What is said at a path. */
async function hear(path: string): Promise<string> {
  const socket = connect(path);
  let heard = '';
  socket.on('data', (chunk) => (heard += chunk.toString()));
  await once(socket, 'close');
  return heard;
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o7777).toString(8);
}

function currentUmask(): number {
  const umask = process.umask(0o077);
  process.umask(umask);
  return umask;
}

/** Acts whenever a client socket is made, before it connects. */
function onConnecting(t: Ending, act: () => void): void {
  subscribe('net.client.socket', act);
  t.teardown(() => unsubscribe('net.client.socket', act));
}

t.test('a server listens at the path, and nothing else is left beside it', async (t) => {
  const path = socketIn(t);
  await listen(t, path);
  t.equal(await hear(path), 'mine');
  t.same(readdirSync(dirname(path)), [basename(path)]);
});

t.test('the mode is the one that was asked for, whatever the umask, which stays as it was', async (t) => {
  const umask = currentUmask();
  t.teardown(() => process.umask(umask));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 0o777 }), fc.integer({ min: 0, max: 0o777 }), async (mode, mask) => {
      process.umask(umask);
      const path = socketIn(t);
      process.umask(mask);
      const { server, file } = await listen(t, path, { mode });
      t.equal(lstatSync(path).mode & 0o7777, mode);
      t.equal(currentUmask(), mask);
      file.remove();
      server.close();
    }),
    { numRuns: 25 },
  );
});

t.test('a group of its own', async (t) => {
  const path = join(temporaryFolder(t), 'made', 'here', 's.sock');
  await listen(t, path, { mode: 0o660, gid: GID });
  t.equal(modeOf(path), '660');
  t.equal(statSync(path).gid, GID);
  for (const folder of [dirname(path), dirname(dirname(path))]) {
    t.equal(modeOf(folder), '750', 'a folder that was missing lets the group in');
    t.equal(statSync(folder).gid, GID);
  }
});

t.test('missing folders are made for nobody else, whatever the umask', async (t) => {
  for (const mask of [0, 0o777]) {
    const folder = temporaryFolder(t);
    const umask = process.umask(mask);
    t.teardown(() => process.umask(umask));
    const path = join(folder, 'made', 'here', 's.sock');
    await listen(t, path);
    process.umask(umask);
    t.equal(modeOf(dirname(path)), '700');
    t.equal(modeOf(dirname(dirname(path))), '700');
  }
});

t.test('a folder that another daemon makes meanwhile is as good', async (t) => {
  const folder = join(temporaryFolder(t), 'made');
  const mkdir = fs.mkdirSync;
  t.teardown(() => {
    fs.mkdirSync = mkdir;
    syncBuiltinESMExports();
  });
  fs.mkdirSync = ((path: string, mode: number) => {
    mkdir(path, 0o711);
    mkdir(path, mode);
  }) as typeof mkdir;
  syncBuiltinESMExports();
  const path = join(folder, 's.sock');
  await listen(t, path, { gid: GID });
  t.equal(await hear(path), 'mine');
  t.equal(modeOf(folder), '711');
});

t.test('a folder that is there keeps its mode and group', async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o711);
  const { gid } = statSync(folder);
  await listen(t, join(folder, 's.sock'), { gid: GID });
  t.equal(modeOf(folder), '711');
  t.equal(statSync(folder).gid, gid);
});

t.test('a path of 107 bytes is as good as any, a dead socket there too', async (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['s', 's'.repeat(50)]) {
    const path = join(folder, 'f'.repeat(107 - Buffer.byteLength(folder) - name.length - 2), name);
    t.equal(Buffer.byteLength(path), 107);
    const first = await listen(t, path);
    t.equal(await hear(path), 'mine');
    await t.rejects(listen(t, path), SocketError);
    linkSync(path, `${path}~`);
    first.file.remove();
    first.server.close();
    renameSync(`${path}~`, path);
    await listen(t, path);
    t.equal(await hear(path), 'mine');
  }
});

t.test('the working directory', (t) => {
  const before = process.cwd();
  t.afterEach(() => process.chdir(before));

  t.test('stays what it was', async (t) => {
    await listen(t, socketIn(t));
    t.equal(process.cwd(), before);
  });
  t.test('stays what it was when the socket cannot be made', async (t) => {
    await t.rejects(listen(t, '/proc/s.sock'), SocketError);
    t.equal(process.cwd(), before);
  });
  t.test('may be gone', async (t) => {
    const gone = temporaryFolder(t);
    process.chdir(gone);
    rmdirSync(gone);
    const path = socketIn(t);
    await listen(t, path);
    t.equal(await hear(path), 'mine');
    t.equal(process.cwd(), '/');
  });
  t.test('may be one where there is no way back to', async (t) => {
    const closed = temporaryFolder(t);
    process.chdir(closed);
    process.cwd(); // Node remembers it from now on
    rmdirSync(closed);
    const path = socketIn(t);
    await listen(t, path);
    t.equal(await hear(path), 'mine');
    t.equal(process.cwd(), '/');
  });
  t.end();
});

t.test('what is at the path', (t) => {
  t.test('is replaced when it is the socket of a dead daemon', async (t) => {
    const path = socketIn(t);
    await leaveDeadSocket(path);
    await listen(t, path);
    t.equal(await hear(path), 'mine');
    t.same(readdirSync(dirname(path)), ['s.sock']);
  });

  t.test('is left alone when somebody listens there', async (t) => {
    const path = await rawServer(t, (socket) => socket.end('theirs'));
    const { ino } = lstatSync(path);
    await t.rejects(listen(t, path), {
      name: 'SocketError',
      message: `${path}: another daemon listens there; stop it or choose another path`,
    });
    t.equal(lstatSync(path).ino, ino);
    t.equal(await hear(path), 'theirs');
    t.same(readdirSync(dirname(path)), ['s.sock']);
  });

  t.test('is left alone when it is no socket', async (t) => {
    const folder = temporaryFolder(t);
    const live = await rawServer(t, (socket) => socket.end('theirs'));
    const dead = join(folder, 'dead');
    await leaveDeadSocket(dead);
    writeFileSync(join(folder, 'file'), 'theirs');
    mkdirSync(join(folder, 'folder'));
    symlinkSync('/nonexistent', join(folder, 'dangling'));
    symlinkSync(live, join(folder, 'link-to-live'));
    symlinkSync(dead, join(folder, 'link-to-dead'));
    symlinkSync(join(folder, 'file'), join(folder, 'link-to-file'));
    const before = readdirSync(folder).sort();
    for (const name of before.filter((each) => each !== 'dead')) {
      const path = join(folder, name);
      const { ino } = lstatSync(path);
      await t.rejects(listen(t, path), {
        name: 'SocketError',
        message: `${path}: there is a file that is no socket; remove it or choose another path`,
      });
      t.equal(lstatSync(path).ino, ino, name);
    }
    t.equal(readFileSync(join(folder, 'file'), 'utf8'), 'theirs');
    t.same(readdirSync(folder).sort(), before);
  });

  t.test('is left alone when it is a datagram socket', { skip: perl.skip }, async (t) => {
    const path = socketIn(t);
    await inPerl(t, path, 'socket(S, PF_UNIX, SOCK_DGRAM, 0); bind(S, pack_sockaddr_un($p));');
    await t.rejects(listen(t, path), {
      name: 'SocketError',
      message: `${path}: there is a socket that cannot be asked (EPROTOTYPE); remove it or choose another path`,
    });
    t.ok(lstatSync(path).isSocket());
  });

  t.test('is left alone when it is too busy to answer', { skip: perl.skip }, async (t) => {
    const path = socketIn(t);
    await inPerl(t, path, 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un($p)); listen(S, 1);');
    // Until its backlog is full.
    for (let full = false; !full;) {
      const socket = connect(path);
      t.teardown(() => socket.destroy());
      full = await new Promise((resolve) => {
        socket.once('connect', () => resolve(false));
        socket.once('error', () => resolve(true));
      });
    }
    await t.rejects(listen(t, path), /another daemon listens there/);
    t.ok(existsSync(path));
  });

  t.test('may vanish at any time', async (t) => {
    const path = socketIn(t);
    await leaveDeadSocket(path);
    onConnecting(t, () => rmSync(path, { force: true }));
    await listen(t, path);
    t.same(readdirSync(dirname(path)), ['s.sock'], 'before it was asked');

    const other = socketIn(t);
    await leaveDeadSocket(other);
    const link = fs.linkSync;
    t.teardown(() => restore());
    const restore = (): void => {
      fs.linkSync = link;
      syncBuiltinESMExports();
    };
    fs.linkSync = (from, to) => {
      restore();
      try {
        link(from, to);
      } finally {
        rmSync(to);
      }
    };
    syncBuiltinESMExports();
    await listen(t, other);
    t.same(readdirSync(dirname(other)), ['s.sock'], 'before it was looked at');
  });

  t.test('is left alone when a daemon has put its own there since the dead one was found', async (t) => {
    const path = socketIn(t);
    await leaveDeadSocket(path);
    const live = await rawServer(t, (socket) => socket.end('theirs'), `${path}.live`);
    let asked = 0;
    onConnecting(t, () => {
      asked += 1;
      if (asked === 1) process.nextTick(() => renameSync(live, path)); // after the question, before its answer
    });
    await t.rejects(listen(t, path), /another daemon listens there/);
    t.equal(asked, 2);
    t.equal(await hear(path), 'theirs');
    t.same(readdirSync(dirname(path)), ['s.sock']);
  });

  t.test('is asked again when who listened there stops while it is asked', async (t) => {
    const path = socketIn(t);
    const server = await serverThatLeavesSocket(path);
    let asked = 0;
    onConnecting(t, () => {
      asked += 1;
      if (asked === 1) process.nextTick(() => server.close());
    });
    await listen(t, path);
    t.equal(asked, 2);
    t.equal(await hear(path), 'mine');
    t.same(readdirSync(dirname(path)), ['s.sock']);
  });
  t.end();
});

t.test('the claim to a dead socket', (t) => {
  async function deadSocketWithClaim(t: Ending): Promise<{ path: string; claim: string }> {
    const path = socketIn(t);
    await leaveDeadSocket(path);
    return { path, claim: join(dirname(path), `.mxm-secretsd.${lstatSync(path).ino}`) };
  }

  t.test('is waited for while another daemon holds it', async (t) => {
    const { path, claim } = await deadSocketWithClaim(t);
    const { ino } = lstatSync(path);
    let asked = 0;
    await rawServer(
      t,
      (socket) => {
        socket.end();
        asked += 1;
        if (asked < 3) return;
        t.equal(lstatSync(path).ino, ino, 'the dead socket is still there');
        rmSync(claim, { force: true });
      },
      claim,
    );
    await listen(t, path);
    t.ok(asked >= 3);
    t.equal(await hear(path), 'mine');
  });

  t.test('is void when its holder was killed', async (t) => {
    const { path, claim } = await deadSocketWithClaim(t);
    await leaveDeadSocket(claim);
    await listen(t, path);
    t.equal(await hear(path), 'mine');
    t.same(readdirSync(dirname(path)), ['s.sock']);
  });

  t.test('is given up when the dead socket may not be removed', async (t) => {
    const { path, claim } = await deadSocketWithClaim(t);
    const unlink = fs.unlinkSync;
    t.teardown(() => {
      fs.unlinkSync = unlink;
      syncBuiltinESMExports();
    });
    fs.unlinkSync = (file) => {
      if (file === path) throw Object.assign(new Error(), { code: 'EPERM' }); // another user's, in a sticky folder
      unlink(file);
    };
    syncBuiltinESMExports();
    await t.rejects(listen(t, path), { message: /: the socket cannot be made: .*EPERM/ });
    t.notOk(existsSync(claim));
  });

  t.test('does not take what is no socket for one', async (t) => {
    const { path, claim } = await deadSocketWithClaim(t);
    mkdirSync(claim);
    await t.rejects(listen(t, path), SocketError);
    t.ok(existsSync(claim));
  });
  t.end();
});

t.test('where no socket can be made', async (t) => {
  for (const path of ['/proc/s.sock', '/proc/mxm-secretsd/s.sock', '/dev/null/s.sock']) {
    const umask = currentUmask();
    await t.rejects(
      listen(t, path),
      { name: 'SocketError', message: /: the socket cannot be made: [a-z ]+ \(E[A-Z]+\)[:;] .*choose another path$/ },
      path,
    );
    t.equal(currentUmask(), umask);
  }
});

t.test('a folder that this user may not write is named, with what to do', async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o555);
  t.teardown(() => chmodSync(folder, 0o700));
  const remedy = `permission denied (EACCES): let the daemon's user enter and write ${folder}, or choose another path`;
  for (const path of ['s.sock', 'made/s.sock', 'made/here/s.sock'].map((name) => join(folder, name))) {
    const message = `${path}: the socket cannot be made: ${remedy}`;
    await t.rejects(
      asStranger(() => listen(t, path)),
      { name: 'SocketError', message },
    );
  }
  t.same(readdirSync(folder), []);
});

t.test('a group that the socket may not be given to is named, and nothing is left', async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o777);
  const chown = fs.chownSync;
  t.teardown(() => {
    fs.chownSync = chown;
    syncBuiltinESMExports();
  });
  let code = 'EPERM';
  fs.chownSync = () => {
    throw Object.assign(new Error(), { code });
  };
  syncBuiltinESMExports();
  for (const path of ['s.sock', 'made/here/s.sock'].map((name) => join(folder, name))) {
    await t.rejects(listen(t, path, { gid: 54_322 }), {
      name: 'SocketError',
      message: `${path}: the socket may not be given to group 54322: make the daemon's user a member of it, or choose another group`,
    });
    t.same(readdirSync(folder), [], 'no folder either, which the next start would take as it is');
  }
  code = 'EINVAL';
  await t.rejects(listen(t, join(folder, 's.sock'), { gid: 54_322 }), /: the socket cannot be made: EINVAL; choose/);
});

t.test('remove', (t) => {
  t.test('removes the socket', async (t) => {
    const path = socketIn(t);
    const { file } = await listen(t, path);
    file.remove();
    t.same(readdirSync(dirname(path)), []);
  });

  t.test('leaves what another daemon has put there', async (t) => {
    const path = socketIn(t);
    const { file, server } = await listen(t, path);
    rmSync(path);
    await rawServer(t, (socket) => socket.end('theirs'), path);
    file.remove();
    server.close();
    await once(server, 'close');
    t.equal(await hear(path), 'theirs');
  });

  t.test('does not mind what is gone, or can no longer be reached', async (t) => {
    const path = join(temporaryFolder(t), 'folder', 's.sock');
    const { file } = await listen(t, path);
    rmSync(path);
    file.remove();
    rmSync(dirname(path), { recursive: true });
    file.remove();
    symlinkSync(dirname(path), dirname(path)); // ELOOP
    file.remove();
    t.pass('and does not throw');
  });
  t.end();
});

t.test('of several daemons that want one path, one gets it and answers there', async (t) => {
  const racers = await Promise.all([1, 2, 3, 4].map(() => startRacer(t)));
  const all = (order: RacerOrder): Promise<RacerReport[]> => Promise.all(racers.map((racer) => tell(racer, order)));
  for (const stale of [false, true]) {
    const path = socketIn(t);
    for (let round = 0; round < 25; round += 1) {
      if (stale) await leaveDeadSocket(path);
      const reports = await all({ race: path, at: Date.now() + 10 });
      const winners = reports.filter(({ won }) => won);
      t.equal(winners.length, 1, JSON.stringify(reports));
      t.equal(await hear(path), String(winners[0]?.pid));
      for (const { won, message } of reports) if (!won) t.match(message, /another daemon listens there/);
      t.same(readdirSync(dirname(path)), ['s.sock']);
      await all({ leave: true });
      t.same(readdirSync(dirname(path)), []);
    }
  }
});

async function startRacer(t: Ending): Promise<ChildProcess> {
  const [file, ...rest] = nodeProgram(fileURLToPath(new URL('../support/socket_racer.ts', import.meta.url)));
  const racer = spawn(file!, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  t.teardown(async () => {
    racer.disconnect();
    await once(racer, 'exit');
  });
  await tell(racer, { leave: true }); // it is up
  return racer;
}

async function tell(racer: ChildProcess, order: RacerOrder): Promise<RacerReport> {
  racer.send(order);
  const [report] = (await once(racer, 'message')) as [RacerReport];
  return report;
}

/** Runs a statement that binds a socket to `$p`, and keeps it until the test ends. */
async function inPerl(t: Ending, path: string, statement: string): Promise<void> {
  const script = `use Socket; $p = shift; ${statement} $| = 1; print "ready\\n"; <STDIN>;`;
  const child = spawn(perl.file, ['-e', script, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(async () => {
    child.stdin.end();
    await once(child, 'close');
  });
  await once(child.stdout, 'data');
}
