import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { testApp, type TestApp } from '../support/app.js';
import type { Ending } from '../support/temporary.js';

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
