import type { Socket } from 'node:net';
import type { Exchanges } from './exchanges.js';
import { BODY_REFUSED, type FormRefusal } from './request_rules.js';

const STATUS_LINES: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
};

const HEADERS = 'Cache-Control: no-store\r\nContent-Length: 0\r\nConnection: close\r\n';

export interface ParserErrorParts {
  readonly exchanges: Exchanges;
  /** Whether the daemon ends what comes on its connections. */
  readonly finishing: boolean;
  readonly timeoutMs: number;
}

/** Each piece that comes after an error is one to Node again. */
const refused = new WeakSet<Socket>();

/**
 * What the HTTP parser refuses is answered on the bare socket, which is then closed. But where it refuses the body of a
 * request, that one has its own answer, after its audit record, and no other. And a request that the daemon has cut off,
 * as it ends what comes, was right so far: its connection is closed without a word.
 */
export function refuseParserError(
  error: { readonly code: string },
  socket: Socket,
  { exchanges, finishing, timeoutMs }: ParserErrorParts,
): void {
  // To the parser a connection that it has nothing of is one that takes too long.
  if (refused.has(socket) || exchanges.isOn(socket)) return;
  refused.add(socket);
  const cutOff = finishing && error.code === 'HPE_INVALID_EOF_STATE';
  const unfinished = exchanges.unfinishedOn(socket);
  if (unfinished !== undefined && socket.writable) {
    const { request, response, over } = unfinished;
    response.shouldKeepAlive = false;
    over.addEventListener('abort', () => socket.destroySoon());
    request.emit(BODY_REFUSED, (cutOff ? 'shutting_down' : 'invalid_request') satisfies FormRefusal);
    return;
  }
  const status = STATUS_LINES[error.code] ?? '400 Bad Request';
  exchanges.afterAnswers(socket, () => {
    if (!socket.writable) return;
    if (!cutOff) socket.write(`HTTP/1.1 ${status}\r\n${HEADERS}\r\n`);
    socket.destroySoon();
    const untaken = setTimeout(() => socket.destroy(), timeoutMs).unref();
    socket.once('close', () => clearTimeout(untaken));
  });
}
