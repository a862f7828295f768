import type { Socket } from 'node:net';
import type { Exchanges } from './exchanges.js';
import { BODY_REFUSED } from './request_rules.js';

const STATUS_LINES: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
};

/** Each piece that comes after an error is one to Node again. */
const refused = new WeakSet<Socket>();

/**
 * What the HTTP parser refuses is answered on the bare socket, which is then closed. But where it refuses the body of a
 * request, that one has its own answer, after its audit record, and no other.
 */
export function refuseParserError(
  error: { readonly code: string },
  socket: Socket,
  exchanges: Exchanges,
  timeoutMs: number,
): void {
  if (refused.has(socket)) return;
  refused.add(socket);
  const unfinished = exchanges.unfinishedOn(socket);
  if (unfinished !== undefined && socket.writable) {
    const { request, response, over } = unfinished;
    response.shouldKeepAlive = false;
    over.addEventListener('abort', () => socket.destroySoon());
    request.emit(BODY_REFUSED);
    return;
  }
  const status = STATUS_LINES[error.code] ?? '400 Bad Request';
  exchanges.afterAnswers(socket, () => {
    if (!socket.writable) return;
    socket.write(`HTTP/1.1 ${status}\r\nCache-Control: no-store\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    socket.destroySoon();
    const untaken = setTimeout(() => socket.destroy(), timeoutMs).unref();
    socket.once('close', () => clearTimeout(untaken));
  });
}
