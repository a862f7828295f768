import { request } from 'node:http';
import { isErrorCode, type ErrorCode } from '../domain/errors.js';
import { type OptionValues, UsageError } from './arguments.js';
import type { Io } from './io.js';

/** Longer than any answer takes: every place of a full queue at the default timeout. */
const SILENCE_MS = 180_000;

export type Answer =
  | { readonly kind: 'answer'; readonly status: number; readonly type: string; readonly body: Buffer }
  | { readonly kind: 'no_daemon'; readonly why: string }
  | { readonly kind: 'stranger' };

/** Asks whatever listens at the socket. Never rejects. */
export function ask(socketPath: string, path: string, accept: string): Promise<Answer> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path, headers: { Host: 'localhost', Accept: accept, Connection: 'close' } });
    asked.setTimeout(SILENCE_MS, () => asked.destroy());
    asked.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.syscall === 'connect' ? { kind: 'no_daemon', why: error.code ?? 'error' } : { kind: 'stranger' });
    });
    asked.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('close', () => {
        if (!response.complete) {
          resolve({ kind: 'stranger' });
          return;
        }
        const type = response.headers['content-type'] ?? '';
        resolve({ kind: 'answer', status: response.statusCode ?? 0, type, body: Buffer.concat(chunks) });
      });
    });
    asked.end();
  });
}

/** The code of a problem that a daemon of this kind has sent; null for anything else. */
export function problemCode(answer: Answer): ErrorCode | null {
  if (answer.kind !== 'answer' || !answer.type.startsWith('application/problem+json')) return null;
  try {
    const { code } = JSON.parse(answer.body.toString('utf8')) as { code?: unknown };
    return isErrorCode(code) ? code : null;
  } catch {
    return null;
  }
}

export function socketPath(io: Io, options: OptionValues): string {
  const path = options['socket'] ?? io.environment['MXM_SECRETSD_SOCKET'];
  if (typeof path === 'string' && path !== '') return path;
  throw new UsageError('--socket PATH is missing, and MXM_SECRETSD_SOCKET is not set');
}
