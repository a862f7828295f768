import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { type ErrorCode, isErrorCode, type Reason, SecretsError } from '../../domain/errors.js';
import { isIdentifier } from '../../domain/identifier.js';
import { principalOf } from '../../domain/identity.js';
import type { SecretRef } from '../../domain/secrets.js';
import type { Audit, AuditRecord } from '../../log/audit.js';
import type { SecretLease } from '../../retrieve.js';
import { negotiate, type Representation } from '../accept.js';
import type { App } from '../app.js';
import { sendProblem } from '../problem.js';
import { represent } from '../representation.js';
import { isWellBehaved } from '../request_rules.js';

export interface SecretRouteParts {
  readonly audit: Audit;
  readonly log: Logger;
  readonly isStopping: () => boolean;
}

/** How a request ended, before anything is told to anybody. */
type Ending = { readonly decision: AuditRecord['decision']; readonly ref?: SecretRef } & (
  | { readonly outcome: 'ok'; readonly lease: SecretLease; readonly representation: Representation }
  | { readonly outcome: ErrorCode | 'cancelled'; readonly reason?: Reason | null }
);

const MAX_RECORDED_NAME = 128;

export function secretRoute({ audit, log, isStopping }: SecretRouteParts) {
  return (app: App): void => {
    app.get<{ Params: { name: string } }>('/secrets/:name', { config: { audited: true } }, async (request, reply) => {
      const { name } = request.params;
      const left = new AbortController();
      reply.raw.once('close', () => {
        left.abort();
      });

      const ending = await end(request, name, left.signal);
      const recorded = await audit.record(recordOf(request, name, ending));
      if (ending.outcome === 'ok') {
        const answer = recorded ? represent(name, ending.lease.value, ending.representation) : undefined;
        ending.lease.release();
        if (answer !== undefined) {
          reply.raw.once('close', () => {
            answer.body.fill(0);
          });
          if (reply.raw.closed) answer.body.fill(0);
          return reply.type(answer.type).send(answer.body);
        }
      } else if (ending.outcome === 'internal_error') {
        log.error({ event: 'defect', request_id: request.id });
      } else if (ending.reason !== undefined && ending.reason !== null) {
        const { outcome: code, reason, ref } = ending;
        log.warn({ event: 'secret_failed', request_id: request.id, secret: name, store: ref?.store, code, reason });
      }
      if (!recorded) return sendProblem(reply, 'audit_unavailable');
      return sendProblem(reply, isErrorCode(ending.outcome) ? ending.outcome : 'internal_error');
    });
  };

  /** The first rule that applies ends the request; a backend is asked when none does. */
  async function end(request: FastifyRequest, name: string, left: AbortSignal): Promise<Ending> {
    const { api, identity } = request.serving;
    if (isStopping()) return { decision: null, outcome: 'shutting_down' };
    if (!(await isWellBehaved(request))) return { decision: 'invalid', outcome: 'invalid_request' };
    if (!isIdentifier(name)) return { decision: 'invalid', outcome: 'invalid_secret_name' };
    const decided = api.decide(name, identity);
    if (decided.decision === 'unknown') return { decision: 'unknown', outcome: 'unknown_secret' };
    const { decision, ref } = decided;
    if (decided.decision === 'denied') return { decision, ref, outcome: 'access_denied' };
    const representation = negotiate(request.headers.accept);
    if (representation === null) return { decision, ref, outcome: 'not_acceptable' };
    try {
      return { decision, ref, outcome: 'ok', lease: await api.retrieve(decided, left), representation };
    } catch (error) {
      if (error instanceof SecretsError) return { decision, ref, outcome: error.code, reason: error.reason };
      if (left.aborted) return { decision, ref, outcome: 'cancelled' };
      return { decision, ref, outcome: 'internal_error' };
    }
  }
}

function recordOf(request: FastifyRequest, name: string, { decision, outcome, ref }: Ending): AuditRecord {
  const { api, identity } = request.serving;
  return {
    request_id: request.id,
    secret: name.slice(0, MAX_RECORDED_NAME),
    principal: principalOf(identity),
    role: identity.role,
    decision,
    outcome,
    store: ref?.store ?? null,
    backend: (ref && api.storeOf(ref)?.backend) ?? null,
    policy: ref?.policy ?? null,
    peer: null,
    duration_ms: Math.round((performance.now() - request.startedAt) * 1_000) / 1_000,
  };
}
