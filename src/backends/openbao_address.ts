import { isAbsolute } from 'node:path';
import { MAX_SOCKET_PATH_BYTES } from '../domain/socket_path.js';

/** Where a server listens: at a port, or at a Unix socket. */
export interface ServerAddress {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Absolute; then the host says nothing. */
  readonly socketPath?: string;
}

const FORM = 'must be https://HOST[:PORT], http://HOST[:PORT] on loopback, or unix:/PATH';

const LOOPBACK = String.raw`(?:${anyCase('localhost')}|127\.[\d.]+|\[::1\])(?::\d*)?`;

/** For editors: an address in its usual spellings. The finer points, as the range of a port, are `parseAddress`'s alone. */
export const ADDRESS_PATTERN = `^(?:unix:/|${anyCase('https')}://[^\\s/?#@]+/?$|${anyCase('http')}://${LOOPBACK}/?$)`;

function anyCase(letters: string): string {
  return letters.replaceAll(/./g, (letter) => `[${letter}${letter.toUpperCase()}]`);
}

/** The address that a text means, or what is wrong with the text. */
export function parseAddress(text: string): ServerAddress | { readonly wrong: string } {
  if (text.startsWith('unix:')) return parseSocketPath(text.slice('unix:'.length));
  if (!/^https?:\/\/[^/]/i.test(text) || !URL.canParse(text)) return { wrong: FORM };
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || text.includes('@')) {
    return { wrong: 'must not hold a user name or a password' };
  }
  if (url.pathname !== '/' || /[?#]/.test(text)) {
    return { wrong: 'must end with the host or the port: no path, no "?" and no "#"' };
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    return { wrong: 'must be https://: without TLS only 127.0.0.0/8, [::1] and localhost are asked' };
  }
  return { origin: url.origin };
}

function parseSocketPath(path: string): ServerAddress | { readonly wrong: string } {
  if (!isAbsolute(path)) return { wrong: 'must have an absolute path after "unix:"' };
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    return { wrong: `is too long: the path of a socket has ${MAX_SOCKET_PATH_BYTES} bytes at most` };
  }
  return { origin: 'http://localhost', socketPath: path };
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
