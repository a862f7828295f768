import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';

/**
 * No query string (a bare `?` is one), no body of more than 0 bytes, no header of a forwarding proxy. A caller on a
 * local socket has no use for them; whoever sends them takes the daemon for something else.
 */
export async function isWellBehaved(request: FastifyRequest): Promise<boolean> {
  const { raw } = request;
  return !(request.originalUrl.includes('?') || isForwarded(raw.headers) || (await hasBody(raw)));
}

function isForwarded(headers: IncomingHttpHeaders): boolean {
  for (const name in headers) {
    if (name === 'forwarded' || name === 'via' || name.startsWith('x-forwarded-')) return true;
  }
  return false;
}

async function hasBody(raw: IncomingMessage): Promise<boolean> {
  if (raw.headers['transfer-encoding'] === undefined) return Number(raw.headers['content-length'] ?? 0) > 0;
  // Who asks for leave to send a body has one, and waits.
  if (raw.headers.expect !== undefined) return true;
  // A chunked body may turn out to be empty.
  return new Promise((resolve) => {
    // It keeps flowing into nothing afterwards, so that the next request on the connection gets its turn.
    raw.once('data', () => resolve(true));
    raw.once('end', () => resolve(false));
    raw.once('close', () => resolve(false));
  });
}
