import { once } from 'node:events';
import { linkSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type ErrorCode, isRetryable } from '../../src/domain/errors.js';
import { STATUS_OF } from '../../src/http/status.js';
import { type Ending, temporaryFolder } from './temporary.js';

/** Something that answers at a Unix socket as the test says; gives the socket's path. */
export async function scriptedServer(t: Ending, listener: RequestListener, path = socketIn(t)): Promise<string> {
  const server = createHttpServer(listener);
  await listen(t, server, path);
  t.teardown(() => server.closeAllConnections());
  return path;
}

/** The same below HTTP: what comes in is read and thrown away. */
export async function rawServer(
  t: Ending,
  onConnection: (socket: Socket) => void,
  path = socketIn(t),
): Promise<string> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.resume();
    onConnection(socket);
  });
  await listen(t, server, path);
  t.teardown(() => open.forEach((socket) => socket.destroy()));
  return path;
}

export function socketIn(t: Ending): string {
  return join(temporaryFolder(t), 's.sock');
}

/** Lets a server listen at a Unix socket until the test ends; gives the socket's path. */
export async function listen(t: Ending, server: Server, path = socketIn(t)): Promise<string> {
  server.listen(path);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return path;
}

/** What the daemon says with this code. */
export function problemListener(code: ErrorCode): RequestListener {
  return (_request, response) => {
    const problem = {
      title: '',
      status: STATUS_OF[code],
      detail: '',
      code,
      retryable: isRetryable(code),
      request_id: 'r',
    };
    respond(response, STATUS_OF[code], 'application/problem+json', JSON.stringify(problem));
  };
}

export function respond(
  response: Parameters<RequestListener>[1],
  status: number,
  type: string,
  body: string | Buffer,
): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': length, 'X-Request-Id': 'r' }).end(body);
}

/** A server whose socket stays when it closes, as that of a daemon stays that is killed. */
export async function serverThatLeavesSocket(path: string): Promise<Server> {
  const server = createServer().listen(`${path}~`);
  await once(server, 'listening');
  linkSync(`${path}~`, path); // closing removes its own name of it
  return server;
}

/** A socket where nobody listens. */
export async function leaveDeadSocket(path: string): Promise<void> {
  const server = await serverThatLeavesSocket(path);
  server.close();
  await once(server, 'close');
}
