import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { loadNative, type Native, native } from '../../src/os/native.js';
import { descriptorOf } from '../../src/os/peer.js';
import { connectedPair } from '../support/connected_pair.js';
import { NODE } from '../support/node.js';
import { temporaryFolder } from '../support/temporary.js';
import { until } from '../support/until.js';

const kernel = native as Native;

function fdOf(socket: Socket): number {
  return descriptorOf(socket) ?? -1;
}

t.test('where there is none nothing is thrown', (t) => {
  const refuse = (): never => {
    throw new Error('no such module');
  };
  t.equal(loadNative(refuse), null, 'an installation without it');
  t.equal(loadNative(refuse, { platform: 'darwin', arch: 'arm64' }), null, 'another system');
  t.equal(loadNative(undefined, { platform: 'linux', arch: 's390x' }), null, 'another processor');
  t.end();
});

t.test('where a call is missing or fails nothing is thrown either', (t) => {
  type Declare = (name: string, ...rest: unknown[]) => unknown;
  const koffi = createRequire(import.meta.url)(`@koromix/koffi-linux-${process.arch}`) as {
    load: (library: null) => { func: Declare };
  };
  const libc = koffi.load(null);
  const changed = (declare: Declare): Native =>
    loadNative(() => ({ ...koffi, load: () => ({ func: declare }) })) as Native;

  const old = changed((name, ...rest) => {
    if (name === 'posix_spawn_file_actions_addchdir_np') throw new Error('no such function');
    return libc.func(name, ...rest);
  });
  t.same([old.startsPrograms, old.pipe(), old.reap(1)], [false, undefined, undefined]);
  t.equal(old.startProgram({ file: '/bin/true', args: [], env: {} }, [1, 2]), 'ENOSYS');

  const older = changed((name, ...rest) => {
    if (name === 'statx' || name === 'preadv2') throw new Error('no such function');
    return libc.func(name, ...rest);
  });
  t.equal(older.lookAt(0), undefined);
  t.equal(older.readCached(0, Buffer.alloc(1), 0, 1), undefined);

  const exhausted = changed((name, ...rest) => (name === 'pipe2' ? () => -1 : libc.func(name, ...rest)));
  t.same([exhausted.startsPrograms, exhausted.pipe()], [true, undefined]);
  t.end();
});

t.test('what a file is, is known only where the kernel tells all of it', (t) => {
  const telling = (mask: number): Native => {
    const statx = (...given: unknown[]): number => ((given[4] as Buffer).writeUInt32LE(mask), 0);
    return loadNative(() => ({ load: () => ({ func: () => statx }) }), { platform: 'linux', arch: 'x64' }) as Native;
  };
  t.match(telling(0x201).lookAt(0), { isFile: false, isDirectory: false });
  t.equal(telling(0x001).lookAt(0), undefined, 'without a size');
  t.equal(kernel.lookAt(-1), undefined);
  t.end();
});

t.test('an option of a socket is read, however long it is', async (t) => {
  if (process.getuid?.() === 0) process.setgroups?.([1, 2, 3]);
  const { server } = await connectedPair(t);
  t.equal(kernel.socketOption(fdOf(server), 3, 4)?.readInt32LE(0), 1, 'SO_TYPE: a stream');
  const [, groups = ''] = /^Groups:\s*(.*?)\s*$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  t.equal(kernel.socketOption(fdOf(server), 59, 0)?.length, groups.split(' ').length * 4, 'SO_PEERGROUPS');
  t.equal(kernel.socketOption(fdOf(server), 9999, 4), undefined);
  t.equal(kernel.socketOption(-1, 3, 4), undefined);
});

t.test('both ends of a connection have a name', async (t) => {
  const { server, path } = await connectedPair(t);
  t.equal(kernel.peerName(fdOf(server))?.length, 0, 'who only connects has none');
  t.equal(kernel.socketName(fdOf(server))?.toString('latin1').replace(/\0$/, ''), path);
  t.equal(kernel.peerName(-1), undefined);
});

t.test('what is no Unix socket has no name', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  t.equal(kernel.socketName(descriptorOf(server as unknown as Socket) ?? -1), undefined);
});

t.test('after reading is shut down what was sent can be read, and nothing more can be sent', async (t) => {
  const { client, server } = await connectedPair(t);
  client.write('before');
  kernel.shutDownReading(fdOf(server));
  const failed = once(client, 'error');
  client.write('after');
  t.match(await failed, [{ code: 'EPIPE' }]);
  const [received] = (await once(server, 'data')) as [Buffer];
  t.equal(received.toString(), 'before');
});

t.test('a descriptor is kept from programs', (t) => {
  t.equal(kernel.closeOnExec(0), true);
  t.match(readFileSync('/proc/self/fdinfo/0', 'latin1'), /^flags:\s+0*2\d{6}$/m);
  t.equal(kernel.closeOnExec(9_999), false);
  t.end();
});

t.test('what is sent without waiting goes as far as there is room', async (t) => {
  const { client, server } = await connectedPair(t);
  server.pause();
  const bytes = Buffer.alloc(65_536);
  let sent: number | string = 0;
  for (let count = 0; count < 1_000 && typeof sent === 'number'; count += 1) sent = kernel.send(fdOf(client), bytes);
  t.equal(sent, 'EAGAIN');
  t.equal(kernel.send(-1, bytes), 'EBADF');
});

t.test('a datagram to nobody is not sent', (t) => {
  const path = join(temporaryFolder(t), 's');
  t.equal(kernel.sendDatagram(Buffer.from(path), Buffer.from('x')), false, 'nobody is there');
  t.equal(kernel.sendDatagram(Buffer.from('x'.repeat(200)), Buffer.from('x')), false, 'nobody can be there');
  t.end();
});

t.test('a variable is taken as its bytes', (t) => {
  process.env['MXM_TEST_TAKEN'] = 'välue';
  t.equal(kernel.takeVariable('MXM_TEST_TAKEN')?.toString(), 'välue');
  t.equal(process.env['MXM_TEST_TAKEN'], undefined, 'and no more where it was');
  t.equal(kernel.takeVariable('MXM_TEST_NO_SUCH'), undefined);
  t.end();
});

t.test('of a name that was given twice the first variable is taken, and none stays behind', async (t) => {
  const source = `
    const { readFileSync } = await import('node:fs');
    const { native } = await import(${JSON.stringify(new URL('../../src/os/native.ts', import.meta.url).href)});
    const taken = native.takeVariable('MXM_TEST_TAKEN').toString();
    const block = readFileSync('/proc/self/environ', 'latin1').split('\\0').filter((entry) => entry !== '');
    const left = { ...process.env };
    process.env.MXM_TEST_TAKEN = 'anew';
    process.env.MXM_TEST_LAST = 'changed';
    delete process.env.MXM_TEST_FIRST;
    const changed = { ...process.env };
    const again = native.takeVariable('MXM_TEST_TAKEN').toString();
    console.log(JSON.stringify({ taken, block, left, changed, again }));`;
  const output = join(temporaryFolder(t), 'output');
  const [file, ...args] = [...NODE, '--input-type=module', '--eval', source];
  const [first, last] = [{ MXM_TEST_FIRST: 'a' }, { MXM_TEST_LAST: 'z' }];
  // Name and value are joined: so the second one has that name, too. Node's own spawn is changed by tap.
  const env = { ...first, MXM_TEST_TAKEN: 'one', 'MXM_TEST_TAKEN=two': 'three', ...last };
  const fd = openSync(output, 'w');
  const pid = kernel.startProgram({ file, args, env }, [fd, 2]) as number;
  closeSync(fd);
  await until(() => kernel.reap(pid) === 0);
  t.same(JSON.parse(readFileSync(output, 'utf8')), {
    taken: 'one',
    block: ['MXM_TEST_FIRST=a', 'MXM_TEST_LAST=z'],
    left: { ...first, ...last },
    changed: { MXM_TEST_LAST: 'changed', MXM_TEST_TAKEN: 'anew' },
    again: 'anew',
  });
});

t.test('calls that fail throw nothing', (t) => {
  const koffi = { load: () => ({ func: () => () => -1 }), errno: () => 9_999, os: { errno: {} } };
  const failing = loadNative(() => koffi, { platform: 'linux', arch: 'x64' }) as Native;
  t.equal(failing.send(0, Buffer.alloc(1)), '9999', 'not even with an error that has no name');
  t.equal(failing.sendDatagram(Buffer.from('/s'), Buffer.from('x')), false);
  t.equal(failing.forbidCores(), false);
  t.equal(failing.forbidReading(), false);
  t.end();
});

t.test('pages are released by their addresses, which are those of pages', (t) => {
  t.equal(kernel.releasePages(0n, 0n), true);
  t.equal(kernel.releasePages(1n, 2n), false);
  t.end();
});
