import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import { createAnswerTimeout } from '../../src/http/untaken_answer.js';
import { createOpenConnections } from '../../src/http/open_connections.js';
import { openRaw, type RawConnection, requestText } from '../support/raw_connection.js';
import { scriptedServer } from '../support/scripted_server.js';
import { until } from '../support/until.js';

/** More than a socket takes on its way. */
const LARGE = Buffer.alloc(4_000_000, 'x');

/** A server whose answers are the test's, and a connection to it. */
async function serve(t: Test): Promise<{ responses: ServerResponse[]; raw: RawConnection }> {
  const responses: ServerResponse[] = [];
  const path = await scriptedServer(t, (_request, response) => void responses.push(response));
  return { responses, raw: await openRaw(t, path) };
}

function overOf(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => controller.abort());
  return controller.signal;
}

t.test('a caller that does not take its answer loses the connection', async (t) => {
  const { responses, raw } = await serve(t);
  raw.socket.pause();
  raw.send(requestText('GET /'));
  const response = await until(() => responses[0]);
  createAnswerTimeout(50, createOpenConnections())(response, overOf(response));
  response.end(LARGE);
  await once(response, 'close');
  raw.socket.resume();
  t.ok((await raw.closed()).length < LARGE.length);
});

t.test('a caller that takes each answer keeps the connection, also after the time of an earlier one', async (t) => {
  const { responses, raw } = await serve(t);
  const closeWhenUntaken = createAnswerTimeout(50, createOpenConnections());
  for (let round = 0; round < 3; round += 1) {
    raw.send(requestText('GET /'));
    const response = await until(() => responses[round]);
    const over = overOf(response);
    closeWhenUntaken(response, over);
    response.end('taken');
    await until(() => over.aborted);
    closeWhenUntaken(response, over); // what is over is left alone
    if (round === 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.equal(raw.received().split('taken').length, 4);
});

t.test('one timer looks after answers that began at different times', async (t) => {
  const { responses, raw } = await serve(t);
  const closeWhenUntaken = createAnswerTimeout(100, createOpenConnections());
  raw.send(requestText('GET /'));
  const early = await until(() => responses[0]);
  closeWhenUntaken(early, overOf(early));
  early.end('taken');
  await new Promise((resolve) => setTimeout(resolve, 60));
  raw.socket.pause();
  raw.send(requestText('GET /'));
  const late = await until(() => responses[1]);
  const began = performance.now();
  closeWhenUntaken(late, overOf(late));
  late.end(LARGE);
  await once(late, 'close');
  t.ok(performance.now() - began > 90, 'it has its whole time');
});

t.test('the time of an answer that waits for its turn begins with its turn', async (t) => {
  const { responses, raw } = await serve(t);
  raw.send(requestText('GET /a') + requestText('GET /b'));
  const [first, second] = await until(() => (responses.length === 2 ? responses : undefined));
  createAnswerTimeout(50, createOpenConnections())(second!, overOf(second!));
  second!.end(LARGE);
  raw.socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 100)); // longer than the time of an answer
  t.notOk(second!.closed);
  first!.end('first');
  await once(second!, 'close');
  raw.socket.resume();
  const received = await raw.closed();
  t.match(received, 'first');
  t.ok(received.length < LARGE.length);
});
