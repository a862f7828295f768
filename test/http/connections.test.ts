import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { watchConnections } from '../../src/http/connections.js';
import { createOpenConnections } from '../../src/http/open_connections.js';
import { testApp, type TestApp } from '../support/app.js';
import { openRaw, requestText, splitAnswers } from '../support/raw_connection.js';
import { scriptedBackend } from '../support/scripted_backend.js';
import { listen } from '../support/scripted_server.js';
import type { Ending } from '../support/temporary.js';
import { until } from '../support/until.js';

interface Client {
  readonly socket: Socket;
  /** One request on this connection; the status of its answer. */
  readonly status: (path: string) => Promise<number>;
  readonly leave: () => Promise<void>;
}

async function client(t: Ending, path: string): Promise<Client> {
  const socket = connect(path);
  socket.on('error', () => undefined);
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return {
    socket,
    async status(target) {
      socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      const [head] = (await once(socket, 'data')) as [Buffer];
      return Number(head.toString('latin1').split(' ')[1]);
    },
    async leave() {
      socket.destroy();
      await once(socket, 'close');
    },
  };
}

function openConnections({ app }: TestApp): Promise<number> {
  return new Promise((resolve, reject) => {
    app.server.getConnections((error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

t.test('connections above the limit are told overloaded, and get health all the same', async (t) => {
  const app = testApp(t, { connections: 1 });
  const path = await app.listen();
  const first = await client(t, path);
  t.equal(await first.status('/secrets'), 200);
  const second = await client(t, path);
  t.equal(await second.status('/secrets'), 503);
  t.equal(await second.status('/identity'), 503);
  t.equal(await second.status('/healthz'), 200);
  t.equal(await second.status('/readyz'), 200);
  t.equal(await first.status('/secrets'), 200, 'who came before is served');
  t.equal(await second.status('/nope'), 404, 'a route that does not exist goes before');
});

t.test('a secret that is refused so has its audit record', async (t) => {
  const app = testApp(t, { connections: 1 });
  const path = await app.listen();
  await client(t, path);
  const second = await client(t, path);
  t.equal(await second.status('/secrets/api_key'), 503);
  t.match(app.audit, [{ secret: 'api_key', decision: null, outcome: 'overloaded', store: null }]);
});

t.test('who was one too many is served when others have left', async (t) => {
  const app = testApp(t, { connections: 1 });
  const path = await app.listen();
  const first = await client(t, path);
  const second = await client(t, path);
  t.equal(await second.status('/secrets'), 503);
  await first.leave();
  while ((await openConnections(app)) > 1) await sleep(5);
  t.equal(await second.status('/secrets'), 200);
});

t.test('what comes above twice the limit is closed, and those before stay', async (t) => {
  const app = testApp(t, { connections: 1 });
  const path = await app.listen();
  const [first] = [await client(t, path), await client(t, path)];
  const third = connect(path);
  third.on('error', () => undefined).resume();
  await once(third, 'close');
  t.equal(await first.status('/secrets'), 200);
});

t.test('the record of a request is alone while nobody else is connected and no other request is open', async (t) => {
  const told: unknown[] = [];
  const app = testApp(t, { append: (_, alone) => Promise.resolve(told.push(alone) > 0) });
  const path = await app.listen();
  const first = await client(t, path);
  await first.status('/secrets/api_key');
  await first.status('/secrets/api_key');
  t.same(told.splice(0), [true, true]);
  const second = await client(t, path);
  await until(async () => (await openConnections(app)) === 2);
  await first.status('/secrets/api_key');
  t.same(told.splice(0), [false]);
  await second.leave();
  await until(async () => (await openConnections(app)) === 1);
  const both = await openRaw(t, path);
  await first.leave();
  await until(async () => (await openConnections(app)) === 1);
  both.send(requestText('GET /secrets/api_key').repeat(3));
  await until(() => told.length === 3);
  t.same(told, [true, false, false], 'the first of three that came together may be known before the others');
});

t.test('who connects counts as activity, and who is answered', async (t) => {
  const app = testApp(t);
  const path = await app.listen();
  const before = app.quietSince() ?? 0;
  const first = await client(t, path);
  await until(() => (app.quietSince() ?? 0) > before);
  const connected = app.quietSince() ?? 0;
  t.equal(await first.status('/secrets'), 200);
  await until(() => (app.quietSince() ?? 0) > connected);
});

t.test('all that have connected are taken in, and what they have sent', async (t) => {
  const backend = scriptedBackend();
  const app = testApp(t, { backend });
  const path = await app.listen();
  for (let count = 0; count < 20; count += 1) {
    const socket = connect(path); // by now the kernel has made the connection
    socket.on('error', () => undefined).write(requestText('GET /secrets/api_key'));
    t.teardown(() => socket.destroy());
  }
  await app.takeIn();
  t.equal(await openConnections(app), 20);
  const drained = app.drain();
  backend.calls[0]?.answer({ ok: true, value: Buffer.from('value') });
  await drained;
  t.same(
    app.audit.map(({ outcome }) => outcome),
    Array.from({ length: 20 }, () => 'ok'),
  );
});

t.test('what has been sent is answered at the end, and idle connections are closed', async (t) => {
  const backend = scriptedBackend();
  const app = testApp(t, { backend });
  const path = await app.listen();
  const [asking, idle] = [await openRaw(t, path), await openRaw(t, path)];
  asking.send(requestText('GET /secrets/api_key'));
  await until(() => backend.calls.length === 1);
  const finished = app.finish();
  backend.calls[0]?.answer({ ok: true, value: Buffer.from('late') });
  t.match(splitAnswers(await asking.closed()), [{ status: 200, body: /late/ }]);
  t.equal(await idle.closed(), '');
  await finished;
  await app.finish();
});

t.test('a request of which a part has been sent at the end is not answered, and what came before it is', async (t) => {
  const app = testApp(t);
  const path = await app.listen();
  const parts = ['GET /secrets/api_key HTTP/1.1\r\nHo', 'G', 'GET /secrets/api_key HTTP/1.1\r\nHost: l\r\n'];
  const connections = await Promise.all(parts.map(() => openRaw(t, path)));
  for (const [index, connection] of connections.entries()) {
    connection.send(requestText('GET /healthz') + String(parts[index]));
    await connection.receives('"ok"');
  }
  const garbled = await openRaw(t, path);
  garbled.send('hello\r\n');
  void app.finish();
  for (const connection of connections) {
    const answers = splitAnswers(await connection.closed());
    t.same(
      answers.map(({ status }) => status),
      [200],
    );
  }
  t.match(await garbled.closed(), /^HTTP\/1\.1 400 /, 'what was wrong before is');
  t.same(app.audit, []);
});

t.test('a request whose body is cut off at the end may be made again', async (t) => {
  const app = testApp(t);
  const path = await app.listen();
  const connections = [];
  for (const url of ['/secrets/api_key', '/identity']) {
    const connection = await openRaw(t, path);
    connection.send(requestText(`GET ${url}`, { 'Transfer-Encoding': 'chunked' }));
    await once(app.app.server, 'request');
    connections.push(connection);
  }
  void app.finish();
  for (const connection of connections) {
    t.match(splitAnswers(await connection.closed()), [{ status: 503, body: /"code":"shutting_down"/ }]);
  }
  t.match(app.audit, [{ decision: null, outcome: 'shutting_down' }]);
});

t.test('every connection can be closed, whatever is going on there, and what is cut off has its record', async (t) => {
  const app = testApp(t, { backend: scriptedBackend() });
  const path = await app.listen();
  const asking = await openRaw(t, path);
  asking.send(requestText('GET /secrets/api_key'));
  await until(() => app.quietSince() === null);
  await app.disconnect();
  t.match(app.audit, [{ decision: 'allowed', outcome: 'cancelled' }]);
  t.equal(await asking.closed(), '');
});

/** A server that ends a connection when the caller does, as that of HTTP, and the path of its socket. */
async function endsWhatEnds(t: Ending, serve: (socket: Socket) => void): Promise<string> {
  const server = createServer();
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    socket.resume().on('end', () => socket.end());
    serve(socket);
  });
  watchConnections(server, { limit: () => 8, onCredentialRequest: () => undefined }, createOpenConnections());
  return listen(t, server);
}

t.test('who has got all and leaves is not told first that nothing follows', async (t) => {
  const ends: string[] = [];
  const path = await endsWhatEnds(t, (socket) => {
    socket.write('all');
    for (const event of ['finish', 'close']) socket.once(event, () => ends.push(event));
  });
  const { socket } = await client(t, path);
  socket.end();
  await until(() => ends.includes('close'));
  t.same(ends, ['close']);
});

t.test('who sends no more while an answer is on its way gets all of it', async (t) => {
  const answer = Buffer.alloc(4_194_304, 'x'); // more than the kernel keeps of a connection
  let left = 0;
  const path = await endsWhatEnds(t, (socket) => {
    socket.write(answer);
    socket.on('end', () => (left = socket.writableLength));
  });
  const { socket } = await client(t, path);
  socket.end();
  await until(() => left > 0);
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  await once(socket, 'close');
  t.ok(Buffer.concat(pieces).equals(answer));
});

t.test('where the kernel cannot be asked, who connects is not known, and a rule for peers lists nobody', async (t) => {
  const server = createServer((_request, response) => response.end());
  const rules = {
    limit: () => 8,
    allow: { uids: [process.getuid?.() ?? 0], gids: [] },
    onCredentialRequest: () => undefined,
    kernel: null,
  };
  const connections = watchConnections(server, rules, createOpenConnections());
  const path = await listen(t, server);
  const [[socket]] = (await Promise.all([once(server, 'connection'), client(t, path)])) as [[Socket], unknown];
  t.equal(connections.peerOf(socket), null);
  t.ok(connections.isDenied(socket));
  const stranger = new Socket();
  t.ok(connections.isDenied(stranger), 'nor a connection that never came');
  t.equal(connections.peerOf(stranger), null);
  await connections.finish(); // without waiting for this one
  connections.destroy();
});
