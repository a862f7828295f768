import t from 'tap';
import { ask } from '../../src/client/ask.js';
import { rawServer, respond, scriptedServer } from '../support/scripted_server.js';
import { until } from '../support/until.js';

t.test('whatever accepts and stays silent is given up', async (t) => {
  const socket = await rawServer(t, () => undefined);
  t.same(await ask(socket, '/readyz', '*/*', { silenceMs: 20 }), { kind: 'stranger' });
});

t.test('whatever falls silent within its answer is given up', async (t) => {
  const socket = await scriptedServer(t, (_request, response) => {
    response.writeHead(200, { 'Content-Length': 10, 'X-Request-Id': 'r' }).write('half');
  });
  t.same(await ask(socket, '/readyz', '*/*', { silenceMs: 20 }), { kind: 'stranger' });
});

t.test('whatever gives interim answers, or changes the protocol, is given up at once', async (t) => {
  for (const status of ['100 Continue', '103 Early Hints', '101 Switching Protocols']) {
    let left = false;
    const path = await rawServer(t, (socket) => {
      socket.once('close', () => (left = true));
      socket.once('data', () => socket.write(`HTTP/1.1 ${status}\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n`));
    });
    t.same(await ask(path, '/readyz', '*/*'), { kind: 'stranger' }, status);
    await until(() => left);
  }
});

t.test('an answer that has no id, or does not say how long it is, is not read to its end', async (t) => {
  for (const headers of [{ 'X-Request-Id': 'r' }, { 'Content-Length': String(1e12) }]) {
    let left = false;
    const socket = await scriptedServer(t, (_request, response) => {
      response.writeHead(200, headers);
      const write = (): unknown => left || response.write(Buffer.alloc(65_536), () => setImmediate(write));
      response.once('close', () => (left = true)).on('error', () => undefined);
      write();
    });
    t.same(await ask(socket, '/', '*/*'), { kind: 'stranger' });
    await until(() => left);
  }
});

t.test('a request carries no more than the daemon needs, and asks for a connection of its own', async (t) => {
  const socket = await scriptedServer(t, (request, response) => {
    respond(response, 200, 'application/json', JSON.stringify([request.method, request.url, request.headers]));
  });
  const answer = await ask(socket, '/secrets/a', 'text/plain');
  t.match(answer, { kind: 'answer', status: 200, type: 'application/json' });
  t.same(answer.kind === 'answer' && JSON.parse(answer.body.toString()), [
    'GET',
    '/secrets/a',
    { host: 'localhost', accept: 'text/plain', connection: 'close' },
  ]);
});

t.test('an answer without a type has an empty one', async (t) => {
  const socket = await scriptedServer(t, (_request, response) => {
    response.writeHead(200, { 'Content-Length': 0, 'X-Request-Id': 'r' }).end();
  });
  t.match(await ask(socket, '/', '*/*'), { kind: 'answer', type: '' });
});
