import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { createIdleTimeout } from '../../src/http/idle_connections.js';
import { createOpenConnections, type Exchange } from '../../src/http/open_connections.js';
import { until } from '../support/until.js';

const SHORT_MS = 100;

t.test('a connection is closed when nothing has been asked on it for so long', async (t) => {
  const connections = createOpenConnections();
  const idle = connections.of(new Socket());
  const begun = performance.now();
  createIdleTimeout(SHORT_MS, connections)(idle);
  await until(() => idle.socket.destroyed);
  t.ok(performance.now() - begun >= SHORT_MS - 1);
});

t.test(
  'one on which something is asked again stays open, and so does one that has not been answered yet',
  async (t) => {
    const connections = createOpenConnections();
    const noteIdle = createIdleTimeout(SHORT_MS, connections);
    const [idle, asking, silent] = [new Socket(), new Socket(), new Socket()].map((socket) => connections.of(socket));
    noteIdle(idle!);
    noteIdle(asking!);
    asking!.exchanges.push({ end: () => undefined } as unknown as Exchange);
    await until(() => idle!.socket.destroyed);
    t.same([asking!.socket.destroyed, silent!.socket.destroyed], [false, false]);
  },
);

t.test('one timer looks after connections that became idle at different times', async (t) => {
  const connections = createOpenConnections();
  const noteIdle = createIdleTimeout(SHORT_MS, connections);
  const [early, late] = [new Socket(), new Socket()].map((socket) => connections.of(socket));
  noteIdle(early!);
  await sleep(SHORT_MS / 2);
  noteIdle(late!);
  await until(() => early!.socket.destroyed);
  t.notOk(late!.socket.destroyed);
  await until(() => late!.socket.destroyed);
});

t.test('what is asked in between counts anew', async (t) => {
  const connections = createOpenConnections();
  const noteIdle = createIdleTimeout(SHORT_MS, connections);
  const connection = connections.of(new Socket());
  for (let round = 0; round < 4; round += 1) {
    noteIdle(connection);
    await sleep(SHORT_MS / 2);
    t.notOk(connection.socket.destroyed);
  }
  await until(() => connection.socket.destroyed);
});
