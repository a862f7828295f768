import { type Answer, MAX_SOCKET_PATH_BYTES, problemOf } from '../client/ask.js';
import { describeError, isErrorCode } from '../domain/errors.js';
import { type OptionValues, UsageError } from './arguments.js';
import type { Io } from './io.js';

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
