import { isUtf8 } from 'node:buffer';
import { type ErrorCode, isErrorCode, SecretsError } from '../domain/errors.js';
import { isIdentifier } from '../domain/identifier.js';
import { type Answer, ask, askUntil, MAX_SOCKET_PATH_BYTES, problemOf } from './ask.js';

export { type ErrorCode, SecretsError } from '../domain/errors.js';

export interface SecretsClientOptions {
  /** Where the daemon listens. */
  readonly socketPath: string;
  /** Milliseconds in which a call tries again while there is no daemon or the answer is retryable; default: 0. */
  readonly retryForMs?: number;
}

export interface GetOptions<As extends 'string' | 'bytes' = 'string' | 'bytes'> {
  /** Default: `string`. Bytes are yours: fill them with zeros after use. */
  readonly as?: As;
  readonly signal?: AbortSignal;
}

/** What a daemon answered in place of a value, or that there is none. */
export class SecretsClientError extends SecretsError {
  /** The HTTP status; null when nothing was answered. */
  readonly status: number | null;
  readonly #retryable: boolean;

  constructor(code: ErrorCode, status: number | null, retryable: boolean, message?: string) {
    super(code);
    this.status = status;
    this.#retryable = retryable;
    if (message !== undefined) this.message = message;
  }

  override get retryable(): boolean {
    return this.#retryable;
  }
}

/** Asks a running daemon. Keeps no connection and no value. */
export class SecretsClient {
  readonly #socketPath: string;
  readonly #retryForMs: number;

  /**
   * Throws a TypeError where `socketPath` is none: Node would ask another socket, or port 80 of this machine; and where
   * `retryForMs` is none, as it would try for ever.
   */
  constructor({ socketPath, retryForMs = 0 }: SecretsClientOptions) {
    if (typeof socketPath !== 'string' || socketPath === '') throw new TypeError('socketPath is missing');
    if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
      throw new TypeError(`socketPath has ${MAX_SOCKET_PATH_BYTES} bytes at most`);
    }
    if (!(retryForMs >= 0)) throw new TypeError('retryForMs must be a number from 0 on');
    this.#socketPath = socketPath;
    this.#retryForMs = retryForMs;
  }

  /**
   * The value of a secret. Rejects with a SecretsClientError, which is a SecretsError with the daemon's `code`. Of a
   * daemon that is not there it is `backend_unavailable`, and `backend_failed` when something else answers at the
   * socket: `status` is null then. Rejects with the signal's reason when that is aborted.
   */
  get(name: string, options: GetOptions<'bytes'> & { readonly as: 'bytes' }): Promise<Buffer>;
  get(name: string, options?: GetOptions<'string'>): Promise<string>;
  async get(name: string, { as = 'string', signal }: GetOptions = {}): Promise<string | Buffer> {
    signal?.throwIfAborted();
    if (!isIdentifier(name)) throw new SecretsClientError('invalid_secret_name', null, false);
    const socket = this.#socketPath;
    const deadline = performance.now() + this.#retryForMs;
    const answer = await askUntil({ deadline, signal }, () =>
      ask(socket, `/secrets/${name}`, 'application/octet-stream', { signal }),
    );
    if (answer.kind === 'answer' && answer.status === 200 && answer.type === 'application/octet-stream') {
      if (as === 'bytes') return answer.body;
      try {
        if (!isUtf8(answer.body)) {
          throw new SecretsClientError('not_acceptable', 200, false, 'the value is not UTF-8: ask for it as bytes');
        }
        return answer.body.toString('utf8');
      } finally {
        answer.body.fill(0);
      }
    }
    signal?.throwIfAborted();
    throw errorOf(answer, socket);
  }
}

function errorOf(answer: Answer, socket: string): SecretsClientError {
  const problem = problemOf(answer);
  if (problem !== null && answer.kind === 'answer') {
    const { code, retryable } = problem;
    if (isErrorCode(code)) return new SecretsClientError(code, answer.status, retryable);
    const message = `${code}: a code that this version does not know`;
    return new SecretsClientError('internal_error', answer.status, retryable, message);
  }
  if (answer.kind === 'no_daemon') {
    const message = `backend_unavailable: no daemon answers at ${socket} (${answer.why})`;
    return new SecretsClientError('backend_unavailable', null, true, message);
  }
  const message = `backend_failed: what answers at ${socket} is no mxm-secretsd, or it broke off`;
  return new SecretsClientError('backend_failed', null, false, message);
}
