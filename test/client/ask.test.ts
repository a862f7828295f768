import t from 'tap';
import { ask } from '../../src/client/ask.js';
import { rawServer, respond, scriptedServer } from '../support/scripted_server.js';

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
