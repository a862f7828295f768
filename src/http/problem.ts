import type { FastifyReply } from 'fastify';
import { describeError, type ErrorCode, isRetryable } from '../domain/errors.js';
import { RETRY_AFTER_SECONDS, STATUS_OF } from './status.js';

/** RFC 9457. Nothing in it comes from a backend. */
export interface Problem {
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly request_id: string;
}

export function sendProblem(reply: FastifyReply, code: ErrorCode): FastifyReply {
  reply.request.outcome = code;
  const { title, text } = describeError(code);
  const status = STATUS_OF[code];
  const problem: Problem = {
    title,
    status,
    detail: text,
    code,
    retryable: isRetryable(code),
    request_id: reply.request.id,
  };
  if (status === 503) reply.header('Retry-After', RETRY_AFTER_SECONDS);
  if (code === 'method_not_allowed') reply.header('Allow', 'GET');
  if (code === 'shutting_down') reply.header('Connection', 'close');
  // A Buffer: Fastify would add a charset to the type of a string.
  return reply
    .code(status)
    .type('application/problem+json')
    .send(Buffer.from(JSON.stringify(problem)));
}
