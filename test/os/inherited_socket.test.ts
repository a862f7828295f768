import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import t from 'tap';
import { InheritedSocketError, listenOnInherited, takeInheritedSocket } from '../../src/os/inherited_socket.js';
import { native, type Native } from '../../src/os/native.js';
import type { Ending } from '../support/temporary.js';
import { inheriting, listeningFd } from '../support/activation.js';
import { runFromSources, runProgram, writeConfiguration } from '../support/process.js';

const SECRETS = 'stores: {}\nrefs: {}\npolicies: {}\n';

/** As if the third descriptor were a socket with these options. */
function socketWith(options: Record<number, number>, name = '/run/s.sock\0'): Native {
  return {
    ...(native as Native),
    socketOption(_fd, option) {
      const value = Buffer.alloc(4);
      value.writeInt32LE(options[option] ?? -1);
      return value;
    },
    socketName: () => Buffer.from(name),
    closeOnExec: () => true,
  };
}

const LISTENING = { 3: 1, 30: 1, 39: 1 };

t.test('the socket that was meant for us is taken, and its variables with it', (t) => {
  const environment = { LISTEN_FDS: '1', LISTEN_PID: '42', LISTEN_FDNAMES: 'x', OTHER: 'stays' };
  t.same(takeInheritedSocket(environment, 42, socketWith(LISTENING)), { fd: 3, path: '/run/s.sock' });
  t.same(environment, { OTHER: 'stays' }, 'no child is given them');
  t.match(takeInheritedSocket({ LISTEN_FDS: '1', LISTEN_PID: '42' }, 42, socketWith(LISTENING, '\0name')), {
    path: '@name',
  });
  t.match(
    takeInheritedSocket(
      { LISTEN_FDS: '1', LISTEN_PID: '42' },
      42,
      Object.assign(socketWith(LISTENING), { socketName: () => undefined }),
    ),
    { path: '' },
  );
  t.end();
});

t.test('what is meant for another process, or for nobody, is not taken', (t) => {
  for (const variables of [
    { LISTEN_FDS: '1', LISTEN_PID: '43' },
    { LISTEN_FDS: '1' },
    { LISTEN_FDS: '1', LISTEN_PID: '' },
    { LISTEN_PID: '42' },
    {},
  ]) {
    const environment: Record<string, string> = { ...variables };
    t.equal(takeInheritedSocket(environment, 42, socketWith(LISTENING)), null);
    t.same(environment, {});
  }
  t.equal(takeInheritedSocket({ LISTEN_FDS: '1', LISTEN_PID: '1' }), null, 'we are not the first process');
  t.end();
});

t.test('what is no listening Unix stream socket is refused', (t) => {
  const said = /must be a Unix stream socket that listens/;
  for (const [option, value] of [
    [3, 2],
    [30, 0],
    [39, 2],
  ] as const) {
    const kernel = socketWith({ ...LISTENING, [option]: value });
    t.throws(() => takeInheritedSocket({ LISTEN_FDS: '1', LISTEN_PID: '42' }, 42, kernel), InheritedSocketError);
    t.throws(() => takeInheritedSocket({ LISTEN_FDS: '1', LISTEN_PID: '42' }, 42, kernel), said);
  }
  const none = Object.assign(socketWith({}), { socketOption: () => undefined });
  t.throws(() => takeInheritedSocket({ LISTEN_FDS: '1', LISTEN_PID: '42' }, 42, none), said);
  t.end();
});

t.test('several sockets, none, or no number of them, are refused', (t) => {
  for (const count of ['2', '0', '', '-1', 'one', '1 ']) {
    const environment = { LISTEN_FDS: count, LISTEN_PID: '42' };
    t.throws(() => takeInheritedSocket(environment, 42, socketWith(LISTENING)), /must be one socket/, count);
    t.same(environment, {});
  }
  t.end();
});

t.test('where the kernel cannot be asked about it, it is refused', (t) => {
  t.throws(() => takeInheritedSocket({ LISTEN_FDS: '1', LISTEN_PID: '42' }, 42, null), /cannot be served/);
  t.end();
});

t.test('a socket that cannot be listened on rejects', async (t) => {
  await t.rejects(listenOnInherited(createServer(), { fd: 9_999, path: '' }));
});

t.test('serve with what it cannot use ends with 78 and says why', async (t) => {
  runFromSources(t);
  const { launchFile } = writeConfiguration(t, { secrets: SECRETS });
  const file = openSync('/dev/null', 'r');
  t.teardown(() => closeSync(file));
  const given: Record<string, { fds: number[]; says: RegExp }> = {
    'a file': { fds: [file], says: /^mxm-secretsd: LISTEN_FDS: the inherited socket must be a Unix stream socket/ },
    'two sockets': { fds: [await listeningFd(t), await listeningFd(t)], says: /must be one socket/ },
    'a TCP socket': { fds: [await tcpFd(t)], says: /must be a Unix stream socket/ },
  };
  for (const [what, { fds, says }] of Object.entries(given)) {
    const ended = await runProgram(['serve', '--launch', launchFile], inheriting(fds));
    t.match(ended, { status: 78, stderr: says }, what);
    t.equal(ended.stdout.length, 0, what);
  }
});

async function tcpFd(t: Ending): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return fdOf(server);
}

function fdOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}
