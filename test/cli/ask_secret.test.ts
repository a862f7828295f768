import t from 'tap';
import { askSecret } from '../../src/cli/ask_secret.js';
import { problemListener, respond, scriptedServer } from '../support/scripted_server.js';

t.test('a value comes as its bytes', async (t) => {
  const socket = await scriptedServer(t, (_request, response) => {
    respond(response, 200, 'application/octet-stream', 'value');
  });
  t.same(await askSecret(socket, 'api_key', { deadline: 0 }), { kind: 'value', value: Buffer.from('value') });
});

t.test('whoever waits can be told to wait no longer, and has the last answer', async (t) => {
  const enough = new AbortController();
  let asked = 0;
  const socket = await scriptedServer(t, (request, response) => {
    asked += 1;
    if (asked === 2) setImmediate(() => enough.abort());
    problemListener('overloaded')(request, response);
  });
  const answer = await askSecret(socket, 'api_key', { deadline: Infinity, signal: enough.signal });
  t.match(answer, { kind: 'refused', status: 75, why: /^overloaded: / });
});

t.test('one that has been told so before asks once', async (t) => {
  let asked = 0;
  const socket = await scriptedServer(t, (request, response) => {
    asked += 1;
    problemListener('overloaded')(request, response);
  });
  t.match(await askSecret(socket, 'api_key', { deadline: Infinity, signal: AbortSignal.abort() }), { status: 75 });
  t.equal(asked, 1);
});
