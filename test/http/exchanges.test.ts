import { once } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import t from 'tap';
import type { EndSignal } from '../../src/ending.js';
import { createExchanges, type Exchanges } from '../../src/http/exchanges.js';
import { createOpenConnections } from '../../src/http/open_connections.js';

/** A request that has come in, and how its answer ends. */
function begin(exchanges: Exchanges, socket: Socket, complete = true): { over: EndSignal; answered: () => void } {
  const request = new IncomingMessage(socket);
  request.complete = complete;
  const response = new ServerResponse(request);
  return { over: exchanges.begin(request, response), answered: () => void response.emit('close') };
}

/** Whether a promise has resolved by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
}

t.test('a request is over when its answer is', (t) => {
  const exchanges = createExchanges(createOpenConnections());
  const socket = new Socket();
  const first = begin(exchanges, socket);
  const second = begin(exchanges, socket);
  first.answered();
  t.same([first.over.aborted, second.over.aborted], [true, false]);
  t.end();
});

t.test('an answer that ends before its turn ends its own request', (t) => {
  const exchanges = createExchanges(createOpenConnections());
  const socket = new Socket();
  const requests = [begin(exchanges, socket), begin(exchanges, socket), begin(exchanges, socket)];
  requests[1]?.answered();
  t.same(
    requests.map(({ over }) => over.aborted),
    [false, true, false],
  );
  t.end();
});

t.test('all requests of a connection are over when it is closed, and no others', (t) => {
  const exchanges = createExchanges(createOpenConnections());
  const socket = new Socket();
  const here = [begin(exchanges, socket), begin(exchanges, socket)];
  const there = begin(exchanges, new Socket());
  socket.emit('close');
  t.ok(here.every(({ over }) => over.aborted));
  t.notOk(there.over.aborted);
  t.end();
});

t.test('a connection gets one listener, however many requests it brings', (t) => {
  const exchanges = createExchanges(createOpenConnections());
  const socket = new Socket();
  for (let count = 0; count < 100; count += 1) begin(exchanges, socket).answered();
  t.equal(socket.listenerCount('close'), 1);
  t.end();
});

t.test('one request too many closes its connection, and is not counted', async (t) => {
  const exchanges = createExchanges(createOpenConnections());
  const socket = new Socket();
  const first = Array.from({ length: 128 }, () => begin(exchanges, socket));
  t.notOk(socket.destroyed);
  t.ok(begin(exchanges, socket).over.aborted);
  t.ok(socket.destroyed);
  await once(socket, 'close');
  t.ok(first.every(({ over }) => over.aborted));
  t.ok(await isSettled(exchanges.idle()));
});

t.test('there is idleness once every request is over', async (t) => {
  const exchanges = createExchanges(createOpenConnections());
  t.ok(await isSettled(exchanges.idle()));
  const socket = new Socket();
  const first = begin(exchanges, socket);
  const second = begin(exchanges, socket);
  const idle = exchanges.idle();
  first.answered();
  first.answered();
  t.notOk(await isSettled(idle), 'an answer that ends twice counts once');
  second.answered();
  t.ok(await isSettled(idle));
  t.ok(await isSettled(exchanges.idle()));
});

t.test('what must come after the answers', (t) => {
  t.test('happens at once where none is owed', (t) => {
    const exchanges = createExchanges(createOpenConnections());
    const socket = new Socket();
    begin(exchanges, new Socket());
    begin(exchanges, socket).answered();
    let acted = 0;
    exchanges.afterAnswers(socket, () => (acted += 1));
    t.equal(acted, 1);
    t.end();
  });

  t.test('waits for the last of them', (t) => {
    const exchanges = createExchanges(createOpenConnections());
    const socket = new Socket();
    const first = begin(exchanges, socket);
    const second = begin(exchanges, socket);
    let acted = 0;
    exchanges.afterAnswers(socket, () => (acted += 1));
    first.answered();
    t.equal(acted, 0);
    second.answered();
    t.equal(acted, 1);
    t.end();
  });

  t.test('does not wait for a request that is itself not complete', (t) => {
    const exchanges = createExchanges(createOpenConnections());
    const socket = new Socket();
    const complete = begin(exchanges, socket);
    begin(exchanges, socket, false);
    let acted = 0;
    exchanges.afterAnswers(socket, () => (acted += 1));
    t.equal(acted, 0);
    complete.answered();
    t.equal(acted, 1);
    t.end();
  });
  t.end();
});

t.test('the request that has come in part is the one that is neither complete nor over', (t) => {
  const exchanges = createExchanges(createOpenConnections());
  const socket = new Socket();
  t.equal(exchanges.unfinishedOn(socket), undefined);
  begin(exchanges, socket);
  exchanges.beginOn(socket);
  t.equal(exchanges.unfinishedOn(socket), undefined);
  const { over, answered } = begin(exchanges, socket, false);
  t.equal(exchanges.unfinishedOn(socket)?.over, over);
  answered();
  t.equal(exchanges.unfinishedOn(socket), undefined);
  t.end();
});

t.test('what is no HTTP is over when its connection is closed, and counts until then', async (t) => {
  const exchanges = createExchanges(createOpenConnections());
  const socket = new Socket();
  const before = exchanges.quietSince();
  t.type(before, 'number');
  const over = exchanges.beginOn(socket);
  t.equal(exchanges.quietSince(), null);
  const idle = exchanges.idle();
  t.notOk(await isSettled(idle));
  let acted = 0;
  exchanges.afterAnswers(socket, () => (acted += 1));
  t.equal(acted, 1, 'nothing comes after it in its turn');
  socket.emit('close');
  t.ok(over.aborted);
  t.ok(await isSettled(idle));
  t.ok((exchanges.quietSince() ?? -1) >= (before ?? 0));
});
