import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { EndSignal } from '../ending.js';

/** A connection, and since when the answer whose turn it is waits to be taken; undefined while none does. */
interface Connection {
  readonly socket: Socket;
  since?: number | undefined;
}

/**
 * Closes the connection of a caller that does not take its answer in time, from when it is that answer's turn. Until
 * then the body stays in memory. One timer looks after all connections.
 */
export function createAnswerTimeout(timeoutMs: number): (response: ServerResponse, over: EndSignal) => void {
  const known = new WeakMap<Socket, Connection>();
  const open = new Set<Connection>();
  let timer: NodeJS.Timeout | undefined;

  function connectionOf(socket: Socket): Connection {
    const met = known.get(socket);
    if (met !== undefined) return met;
    const connection: Connection = { socket };
    known.set(socket, connection);
    open.add(connection);
    socket.once('close', () => open.delete(connection));
    return connection;
  }

  function look(): void {
    timer = undefined;
    let first = Infinity;
    for (const { socket, since = Infinity } of open) {
      if (since + timeoutMs <= performance.now()) socket.destroy();
      else first = Math.min(first, since);
    }
    if (first < Infinity) timer = setTimeout(look, first + timeoutMs - performance.now()).unref();
  }

  return (response, over) => {
    const begin = (): void => {
      if (over.aborted || response.socket === null) return;
      const connection = connectionOf(response.socket);
      connection.since = performance.now();
      over.addEventListener('abort', () => (connection.since = undefined), { once: true });
      timer ??= setTimeout(look, timeoutMs).unref();
    };
    // Of pipelined answers only the one whose turn it is has the socket.
    if (response.socket === null) response.once('socket', begin);
    else begin();
  };
}
