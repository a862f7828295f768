import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { isIdentifier } from '../domain/identifier.js';

/** Longer than any answer takes, even if a full queue waits for one core and every call for its timeout (defaults). */
const SILENCE_MS = 600_000;

/** The longest path that the address of a Unix socket can hold: of a longer one some Nodes ask another. */
export const MAX_SOCKET_PATH_BYTES = 107;

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

export type Answer =
  /** As our daemon answers: with an id, and whole. The body is the receiver's. */
  | { readonly kind: 'answer'; readonly status: number; readonly type: string; readonly body: Buffer }
  | { readonly kind: 'no_daemon'; readonly why: string }
  | { readonly kind: 'stranger' };

export interface Asking {
  readonly silenceMs?: number;
  /** Ends the request: its answer is none of a daemon then. */
  readonly signal?: AbortSignal | undefined;
}

/** Asks whatever listens at the socket. Never rejects. */
export function ask(socketPath: string, path: string, accept: string, asking: Asking = {}): Promise<Answer> {
  const { silenceMs = SILENCE_MS, signal } = asking;
  return new Promise((resolve) => {
    const headers = { Host: 'localhost', Accept: accept, Connection: 'close' };
    const asked = request({ socketPath, path, headers, ...(signal && { signal }) });
    asked.setTimeout(silenceMs, () => asked.destroy());
    const leave = (): void => {
      resolve({ kind: 'stranger' });
      asked.destroy();
    };
    asked.on('error', (error: NodeJS.ErrnoException) => {
      resolve(error.syscall === 'connect' ? { kind: 'no_daemon', why: String(error.code) } : { kind: 'stranger' });
    });
    // Ours sends neither: another might send the first for ever, and after the second nothing else is told.
    asked.once('information', leave);
    asked.once('upgrade', (_response, socket) => {
      socket.destroy(); // no more of the request
      leave();
    });
    asked.once('response', (response) => {
      const { statusCode: status = 0, headers } = response;
      response.on('error', () => undefined); // told by its close
      // What does not say how long it is may never end, and nobody could tell a whole secret from a part of one.
      const length = headers['content-length'];
      if (headers['x-request-id'] === undefined || length === undefined) {
        leave();
        return;
      }
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('close', () => {
        const body = Buffer.concat(chunks);
        for (const chunk of chunks) chunk.fill(0);
        const isWhole = response.complete && length === String(body.length);
        const type = headers['content-type'] ?? '';
        resolve(isWhole ? { kind: 'answer', status, type, body } : { kind: 'stranger' });
      });
    });
    asked.end();
  });
}

export interface Patience {
  /** On the clock of `performance.now()`: until then it is asked again where that may help. */
  readonly deadline: number;
  /** Ends the wait before: the last answer counts. */
  readonly signal?: AbortSignal | undefined;
}

/** Tries again, with growing pauses, while there is no daemon or its answer may change by itself. */
export async function askUntil({ deadline, signal }: Patience, once: () => Promise<Answer>): Promise<Answer> {
  let answer = await once();
  let pause = FIRST_PAUSE_MS;
  const isOver = (): boolean => signal?.aborted === true || performance.now() >= deadline;
  while (mayChange(answer) && !isOver()) {
    await sleep(Math.min(pause, deadline - performance.now()), undefined, { signal }).catch(() => undefined);
    if (signal?.aborted === true) break;
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    answer = await once();
  }
  return answer;
}

function mayChange(answer: Answer): boolean {
  return answer.kind === 'no_daemon' || problemOf(answer)?.retryable === true;
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
