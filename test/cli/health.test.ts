import t from 'tap';
import { run } from '../../src/cli/run.js';
import { memoryIo } from '../support/io.js';
import { problemListener, rawServer, respond, scriptedServer, socketIn } from '../support/scripted_server.js';

const CONFIG = { digest: '00', loaded_at: '2026-01-01T00:00:00.000Z', last_error: null };

const READY = {
  status: 'ready',
  stores: { red: { backend: 'gopass', status: 'ready' }, local: { backend: 'env', status: 'ready' } },
  config: CONFIG,
};

const UNREADY = {
  status: 'unready',
  stores: { red: { backend: 'gopass', status: 'unready', code: 'backend_locked' } },
  config: CONFIG,
};

function answering(status: number, body: unknown) {
  return (request: { url?: string | undefined }, response: Parameters<typeof respond>[0]) => {
    respond(
      response,
      request.url === '/readyz' ? status : 404,
      'application/json; charset=utf-8',
      JSON.stringify(body),
    );
  };
}

t.test('a ready daemon: 0 and a line a store', async (t) => {
  const socket = await scriptedServer(t, answering(200, READY));
  const io = memoryIo();
  t.equal(await run(['health', '--socket', socket], io), 0);
  t.equal(io.text(), 'red\tgopass\tready\nlocal\tenv\tready\n');
  t.equal(io.errors(), '');
});

t.test('an unready daemon: 69, and the line tells the code', async (t) => {
  const socket = await scriptedServer(t, answering(503, UNREADY));
  const io = memoryIo({ environment: { MXM_SECRETSD_SOCKET: socket } });
  t.equal(await run(['health'], io), 69);
  t.equal(io.text(), 'red\tgopass\tunready\tbackend_locked\n');
});

t.test('on a terminal the columns are aligned', async (t) => {
  const socket = await scriptedServer(t, answering(200, READY));
  const io = memoryIo({ isTTY: true });
  t.equal(await run(['health', '--socket', socket], io), 0);
  t.equal(io.text(), 'red    gopass  ready\nlocal  env     ready\n');
});

t.test('no daemon: 69', async (t) => {
  const socket = socketIn(t);
  const io = memoryIo();
  t.equal(await run(['health', '--socket', socket], io), 69);
  t.equal(io.text(), '');
  t.equal(io.errors(), `mxm-secretsd health: no daemon answers at ${socket} (ENOENT)\n`);
});

t.test('a daemon that is stopping: 69', async (t) => {
  const socket = await scriptedServer(t, problemListener('shutting_down'));
  const io = memoryIo();
  t.equal(await run(['health', '--socket', socket], io), 69);
  t.equal(io.text(), '');
  t.match(io.errors(), /^mxm-secretsd health: shutting_down: .+\n$/);
});

t.test('something else at the socket: 69 and nothing on stdout', async (t) => {
  const answers: unknown[] = [
    null,
    'ready',
    [],
    {},
    { status: 'ready' },
    { status: 'ready', stores: null },
    { status: 'ready', stores: { red: null } },
    { status: 'ready', stores: { red: { backend: 1, status: 'ready' } } },
    { status: 'ready', stores: { red: { backend: 'gopass', status: '\u001b[2J' } } },
    { status: 'ready', stores: { '\u001b[2J': { backend: 'gopass', status: 'ready' } } },
    { status: 'ready', stores: { red: { backend: 'gopass', status: 'ready', code: {} } } },
  ];
  for (const answer of answers) {
    const socket = await scriptedServer(t, answering(200, answer));
    const io = memoryIo();
    t.equal(await run(['health', '--socket', socket], io), 69, JSON.stringify(answer));
    t.equal(io.text(), '');
    t.equal(io.errors(), `mxm-secretsd health: what answers at ${socket} is no mxm-secretsd, or it broke off\n`);
  }
  const socket = await rawServer(t, (stranger) => stranger.end('SSH-2.0-x\r\n'));
  t.equal(await run(['health', '--socket', socket], memoryIo()), 69, 'no HTTP');
});
