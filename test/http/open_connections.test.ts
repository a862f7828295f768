import { Socket } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { createOpenConnections, type Exchange } from '../../src/http/open_connections.js';

t.test('a socket is one connection, however often it is asked for, and has one listener', (t) => {
  const connections = createOpenConnections();
  const socket = new Socket();
  const connection = connections.of(socket);
  t.equal(connections.of(socket), connection);
  t.equal(connection.socket, socket);
  t.equal(socket.listenerCount('close'), 1);
  t.end();
});

t.test('those are open that have come and are not closed, in whatever order they leave', (t) => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat()), { maxLength: 60 }), (steps) => {
      const connections = createOpenConnections();
      const open = new Set<Socket>();
      for (const step of steps) {
        if (step === null) {
          const socket = new Socket();
          open.add(connections.of(socket).socket);
        } else if (open.size > 0) {
          const socket = [...open][step % open.size] as Socket;
          open.delete(socket);
          socket.emit('close');
        }
      }
      t.same(new Set(connections.all.map(({ socket }) => socket)), open);
      t.equal(connections.all.length, open.size);
    }),
  );
  t.end();
});

t.test('what is under way on a connection ends when it is closed', (t) => {
  const connections = createOpenConnections();
  const connection = connections.of(new Socket());
  const ended: number[] = [];
  for (const number of [1, 2]) {
    const exchange = { end: () => void ended.push(connection.exchanges.shift() === exchange ? number : NaN) };
    connection.exchanges.push(exchange as unknown as Exchange);
  }
  connection.socket.emit('close');
  t.same(ended, [1, 2]);
  t.end();
});

t.test('it is told when none is open', async (t) => {
  const connections = createOpenConnections();
  await connections.empty();
  const sockets = [new Socket(), new Socket()];
  for (const socket of sockets) connections.of(socket);
  let empty = false;
  const told = connections.empty().then(() => (empty = true));
  sockets[0]!.emit('close');
  await new Promise((resolve) => setImmediate(resolve));
  t.notOk(empty);
  sockets[1]!.emit('close');
  await told;
  t.ok(empty);
});
