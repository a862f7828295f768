import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { closeWhenUntaken } from '../../src/http/untaken_answer.js';
import { openRaw, type RawConnection, requestText } from '../support/raw_connection.js';
import { temporaryFolder } from '../support/temporary.js';
import { until } from '../support/until.js';

/** More than a socket takes on its way. */
const LARGE = Buffer.alloc(4_000_000, 'x');

/** A server whose answers are the test's, and a connection to it. */
async function serve(t: Test): Promise<{ responses: ServerResponse[]; raw: RawConnection }> {
  const responses: ServerResponse[] = [];
  const server = createServer((_request, response) => void responses.push(response));
  const path = join(temporaryFolder(t), 's.sock');
  server.listen(path);
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
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
  closeWhenUntaken(response, overOf(response), 50);
  response.end(LARGE);
  await once(response, 'close');
  raw.socket.resume();
  t.ok((await raw.closed()).length < LARGE.length);
});

t.test('a caller that takes it keeps the connection', async (t) => {
  const { responses, raw } = await serve(t);
  for (let round = 0; round < 2; round += 1) {
    raw.send(requestText('GET /'));
    const response = await until(() => responses[round]);
    const over = overOf(response);
    closeWhenUntaken(response, over, 100_000);
    response.end('taken');
    await until(() => over.aborted);
    closeWhenUntaken(response, over, 1); // what is over is left alone
  }
  t.equal(raw.received().split('taken').length, 3);
});

t.test('the time of an answer that waits for its turn begins with its turn', async (t) => {
  const { responses, raw } = await serve(t);
  raw.send(requestText('GET /a') + requestText('GET /b'));
  const [first, second] = await until(() => (responses.length === 2 ? responses : undefined));
  closeWhenUntaken(second!, overOf(second!), 50);
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
