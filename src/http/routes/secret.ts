import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { type ErrorCode, isErrorCode, SecretsError } from '../../domain/errors.js';
import { isIdentifier } from '../../domain/identifier.js';
import { principalOf } from '../../domain/identity.js';
import type { SecretRef } from '../../domain/secrets.js';
import type { Audit, AuditRecord } from '../../log/audit.js';
import { kindOf } from '../../log/logger.js';
import type { Metrics } from '../../metrics.js';
import type { SecretLease } from '../../retrieve.js';
import { negotiate, type Representation } from '../accept.js';
import type { App } from '../app.js';
import type { Connections } from '../connections.js';
import { sendProblem } from '../problem.js';
import { represent } from '../representation.js';
import { isWellBehaved } from '../request_rules.js';

export interface SecretRouteParts {
  readonly audit: Audit;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly connections: Connections;
  readonly isStopping: () => boolean;
}

/** How a request ended, before anything is told to anybody. */
type Ending = Reached &
  (
    | { readonly outcome: 'ok'; readonly lease: SecretLease; readonly representation: Representation }
    | { readonly outcome: ErrorCode | 'cancelled'; readonly error?: unknown }
  );

interface Reached {
  readonly decision: AuditRecord['decision'];
  readonly ref?: SecretRef;
}

const OPTIONS = { config: { audited: true, summary: 'The value of a secret' } };

const MAX_RECORDED_NAME = 128;

export function secretRoute({ audit, metrics, log, connections, isStopping }: SecretRouteParts) {
  /** The first rule that applies ends the request; a backend is asked when none does. */
  async function end(request: FastifyRequest, name: string): Promise<Ending> {
    const { api, identity } = request.serving;
    let reached: Reached = { decision: null };
    let error: unknown;
    try {
      if (connections.isSurplus(request.raw.socket)) return { ...reached, outcome: 'overloaded' };
      if (isStopping()) return { ...reached, outcome: 'shutting_down' };
      if (!(await isWellBehaved(request))) return { decision: 'invalid', outcome: 'invalid_request' };
      if (!isIdentifier(name)) return { decision: 'invalid', outcome: 'invalid_secret_name' };
      const decided = api.decide(name, identity);
      reached = decided;
      if (decided.decision === 'unknown') return { ...reached, outcome: 'unknown_secret' };
      if (decided.decision === 'denied') return { ...reached, outcome: 'access_denied' };
      const representation = negotiate(request.headers.accept);
      if (representation === null) return { ...reached, outcome: 'not_acceptable' };
      return { ...reached, outcome: 'ok', lease: await api.retrieve(decided, request.over), representation };
    } catch (thrown) {
      error = thrown;
    }
    if (error instanceof SecretsError) return { ...reached, outcome: error.code, error };
    if (request.over.aborted) return { ...reached, outcome: 'cancelled' };
    return { ...reached, outcome: 'internal_error', error };
  }

  function tellWhy({ id }: FastifyRequest, name: string, ending: Ending): void {
    if (!('error' in ending)) return;
    const { outcome: code, ref, error } = ending;
    if (code === 'internal_error') log.error({ event: 'defect', request_id: id, error: kindOf(error) });
    else if (error instanceof SecretsError && error.reason !== null) {
      log.warn({ event: 'secret_failed', request_id: id, secret: name, store: ref?.store, code, reason: error.reason });
    }
  }

  return (app: App): void => {
    app.get<{ Params: { name: string } }>('/secrets/:name', OPTIONS, async (request, reply) => {
      const { name } = request.params;
      const ending = await end(request, name);
      tellWhy(request, name, ending);
      metrics.countDecision(ending.decision);
      let recorded: boolean;
      let answer: { type: string; body: Buffer } | undefined;
      try {
        recorded = await audit.record(recordOf(request, name, ending));
        if (recorded && ending.outcome === 'ok') answer = represent(name, ending.lease.value, ending.representation);
      } finally {
        if (ending.outcome === 'ok') ending.lease.release();
      }
      if (answer !== undefined) {
        wipeWhenOver(answer.body, request.over);
        return reply.type(answer.type).send(answer.body);
      }
      if (!recorded) return sendProblem(reply, 'audit_unavailable');
      // Of a caller that has left nobody reads the answer.
      return sendProblem(reply, isErrorCode(ending.outcome) ? ending.outcome : 'internal_error');
    });
  };
}

function wipeWhenOver(body: Buffer, over: AbortSignal): void {
  const wipe = (): void => {
    body.fill(0);
  };
  over.addEventListener('abort', wipe, { once: true });
  if (over.aborted) wipe();
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
