import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';

/** `shutting_down` where the daemon itself has cut the body off; null where there is none. */
export type FormRefusal = 'invalid_request' | 'shutting_down' | null;

/** What a request is told, with why, when the parser refuses its body, or the time for it is up. */
export const BODY_REFUSED = Symbol('body refused');

/**
 * No query string (a bare `?` is one), no body of more than 0 bytes, no header of a forwarding proxy. A caller on a
 * local socket has no use for them; whoever sends them takes the daemon for something else.
 */
export function refusalOfForm(request: FastifyRequest): FormRefusal | Promise<FormRefusal> {
  const { raw } = request;
  const { headers } = raw;
  if (request.originalUrl.includes('?') || isForwarded(headers)) return 'invalid_request';
  if (headers['transfer-encoding'] !== undefined) return refusalOfChunks(raw);
  return Number(headers['content-length'] ?? 0) > 0 ? 'invalid_request' : null;
}

function isForwarded(headers: IncomingHttpHeaders): boolean {
  for (const name in headers) {
    if (name === 'forwarded' || name === 'via' || name.startsWith('x-forwarded-')) return true;
  }
  return false;
}

/** A chunked body may turn out to be empty. Null, too, once the caller has left. */
function refusalOfChunks(raw: IncomingMessage): FormRefusal | Promise<FormRefusal> {
  // Who asks for leave to send a body has one, and waits.
  if (raw.headers.expect !== undefined) return 'invalid_request';
  return new Promise((resolve) => {
    // It keeps flowing into nothing afterwards, so that the next request on the connection gets its turn.
    raw.once('data', () => resolve('invalid_request'));
    raw.once(BODY_REFUSED, (refusal: FormRefusal) => resolve(refusal));
    raw.once('end', () => resolve(null));
    raw.once('close', () => resolve(null));
  });
}
