import { request } from 'node:http';
import { describeError, isErrorCode } from '../domain/errors.js';
import { isIdentifier } from '../domain/identifier.js';
import { type OptionValues, UsageError } from './arguments.js';
import type { Io } from './io.js';

/** Longer than any answer takes, even if a full queue waits for one core and every call for its timeout (defaults). */
const SILENCE_MS = 600_000;

/** The longest path that the address of a Unix socket can hold: of a longer one some Nodes ask another. */
const MAX_SOCKET_PATH_BYTES = 107;

export type Answer =
  /** As our daemon answers: with an id, and whole. */
  | { readonly kind: 'answer'; readonly status: number; readonly type: string; readonly body: Buffer }
  | { readonly kind: 'no_daemon'; readonly why: string }
  | { readonly kind: 'stranger' };

/** Asks whatever listens at the socket. Never rejects. */
export function ask(socketPath: string, path: string, accept: string, silenceMs = SILENCE_MS): Promise<Answer> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path, headers: { Host: 'localhost', Accept: accept, Connection: 'close' } });
    asked.setTimeout(silenceMs, () => asked.destroy());
    asked.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.syscall === 'connect' ? { kind: 'no_daemon', why: String(error.code) } : { kind: 'stranger' });
    });
    asked.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('close', () => {
        const { statusCode: status = 0, headers } = response;
        const body = Buffer.concat(chunks);
        const isOurs = headers['x-request-id'] !== undefined;
        // Without a length nobody could tell a whole secret from a part of one.
        const isWhole = response.complete && headers['content-length'] === String(body.length);
        const type = headers['content-type'] ?? '';
        resolve(isOurs && isWhole ? { kind: 'answer', status, type, body } : { kind: 'stranger' });
      });
    });
    asked.end();
  });
}

/** What a daemon says instead of an answer. A newer one may have codes that are not known here. */
export interface Problem {
  readonly code: string;
  readonly retryable: boolean;
}

export function problemOf(answer: Answer): Problem | null {
  if (answer.kind !== 'answer' || !answer.type.startsWith('application/problem+json')) return null;
  try {
    const { code, retryable } = JSON.parse(answer.body.toString('utf8')) as { code?: unknown; retryable?: unknown };
    return typeof code === 'string' && isIdentifier(code) ? { code, retryable: retryable === true } : null;
  } catch {
    return null;
  }
}

/** Why an answer is not the one that was asked for, in a line for stderr. */
export function describeRefusal(answer: Answer, socket: string): string {
  const problem = problemOf(answer);
  if (problem !== null) return describeCode(problem.code);
  if (answer.kind === 'no_daemon') return `no daemon answers at ${socket} (${answer.why})`;
  return `what answers at ${socket} is no mxm-secretsd, or it broke off`;
}

export function describeCode(code: string): string {
  return `${code}: ${isErrorCode(code) ? describeError(code).text : 'a code that this version does not know'}`;
}

export function socketPath(io: Io, options: OptionValues): string {
  const path = options['socket'] ?? io.environment['MXM_SECRETSD_SOCKET'];
  if (typeof path !== 'string' || path === '') {
    throw new UsageError('--socket PATH is missing, and MXM_SECRETSD_SOCKET is not set');
  }
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new UsageError(`the path of a socket has ${MAX_SOCKET_PATH_BYTES} bytes at most`);
  }
  return path;
}
