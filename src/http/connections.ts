import type { Server, Socket } from 'node:net';

export interface Connections {
  /** Whether a connection is one too many: it came above the limit, and there are still more than the limit. */
  isSurplus(socket: Socket): boolean;
}

/** Counts the open connections of a server; what comes above twice the limit is closed at once. */
export function countConnections(server: Server, limit: () => number): Connections {
  const surplus = new WeakSet<Socket>();
  let open = 0;
  server.on('connection', (socket) => {
    open += 1;
    socket.once('close', () => {
      open -= 1;
    });
    if (open > 2 * limit()) socket.destroy();
    else if (open > limit()) surplus.add(socket);
  });
  return { isSurplus: (socket) => open > limit() && surplus.has(socket) };
}
