import type { Logger } from 'pino';
import type { SecretsApi } from './api.js';
import type { EndSignal } from './ending.js';
import { type ErrorCode, isErrorCode, SecretsError } from './domain/errors.js';
import { isIdentifier } from './domain/identifier.js';
import { principalOf, type RuntimeIdentity } from './domain/identity.js';
import type { SecretRef } from './domain/secrets.js';
import type { Audit, AuditRecord } from './log/audit.js';
import { kindOf } from './log/logger.js';
import type { Metrics } from './metrics.js';
import type { SecretLease } from './retrieve.js';

/** One request for one secret, by whatever way it came. */
export interface AccessRequest {
  readonly id: string;
  /** As it was asked for: any text. */
  readonly name: string;
  readonly identity: RuntimeIdentity;
  readonly api: SecretsApi;
  readonly peer: AuditRecord['peer'];
  readonly via?: NonNullable<AuditRecord['via']>;
  /** By the clock of `performance`. */
  readonly startedAt: number;
  /** Aborted when nobody waits for the answer any more. */
  readonly over: EndSignal;
  /** The first rule of this way that refuses the request, before its name is looked at; null where none does. */
  readonly refuse: () => Refusal | null | Promise<Refusal | null>;
  /** The same for a request that is allowed, before a backend is asked. */
  readonly refuseAllowed?: () => ErrorCode | null;
  /** The largest value that can go this way. */
  readonly maxBytes?: number;
}

export interface Refusal {
  readonly decision: AuditRecord['decision'];
  readonly outcome: ErrorCode;
}

export type Access =
  /** The lease is the receiver's, to be released. */
  { readonly ok: true; readonly lease: SecretLease } | { readonly ok: false; readonly code: ErrorCode };

/** The one way to a value, whoever asks. */
export interface Accesses {
  /** Settles once the audit record is written, or could not be: only then may there be an answer. */
  open(request: AccessRequest): Promise<Access>;
}

/** How a request ended, before anything is told to anybody. */
type Ending = Reached &
  (
    | { readonly outcome: 'ok'; readonly lease: SecretLease }
    | { readonly outcome: ErrorCode | 'cancelled'; readonly error?: unknown }
  );

interface Reached {
  readonly decision: AuditRecord['decision'];
  readonly ref?: SecretRef;
}

const MAX_RECORDED_NAME = 128;

export interface AccessParts {
  readonly audit: Audit;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export function createAccesses({ audit, metrics, log }: AccessParts): Accesses {
  function tellWhy({ id, name }: AccessRequest, ending: Ending): void {
    if (!('error' in ending)) return;
    const { outcome: code, ref, error } = ending;
    if (code === 'internal_error') log.error({ event: 'defect', request_id: id, error: kindOf(error) });
    else if (error instanceof SecretsError && error.reason !== null) {
      log.warn({ event: 'secret_failed', request_id: id, secret: name, store: ref?.store, code, reason: error.reason });
    }
  }

  return {
    async open(request) {
      const ending = await end(request);
      tellWhy(request, ending);
      metrics.countDecision(ending.decision);
      let recorded = false;
      try {
        recorded = await audit.record(recordOf(request, ending));
      } finally {
        if (!recorded && ending.outcome === 'ok') ending.lease.release();
      }
      if (!recorded) return { ok: false, code: 'audit_unavailable' };
      if (ending.outcome === 'ok') return { ok: true, lease: ending.lease };
      // Of a caller that has left nobody reads the answer.
      return { ok: false, code: isErrorCode(ending.outcome) ? ending.outcome : 'internal_error' };
    },
  };
}

/** The first rule that applies ends the request; a backend is asked when none does. */
async function end(request: AccessRequest): Promise<Ending> {
  const { api, identity, name, over, maxBytes = Infinity } = request;
  let reached: Reached = { decision: null };
  let error: unknown;
  try {
    const refused = request.refuse();
    const refusal = refused instanceof Promise ? await refused : refused;
    if (refusal !== null) return refusal;
    if (!isIdentifier(name)) return { decision: 'invalid', outcome: 'invalid_secret_name' };
    const decided = api.decide(name, identity);
    reached = decided;
    if (decided.decision === 'unknown') return { ...reached, outcome: 'unknown_secret' };
    if (decided.decision === 'denied') return { ...reached, outcome: 'access_denied' };
    const unacceptable = request.refuseAllowed?.() ?? null;
    if (unacceptable !== null) return { ...reached, outcome: unacceptable };
    const lease = await api.retrieve(decided, over);
    if (lease.value.length <= maxBytes) return { ...reached, outcome: 'ok', lease };
    lease.release();
    error = new SecretsError('backend_failed', 'value_too_large');
  } catch (thrown) {
    error = thrown;
  }
  if (error instanceof SecretsError) return { ...reached, outcome: error.code, error };
  if (over.aborted) return { ...reached, outcome: 'cancelled' };
  return { ...reached, outcome: 'internal_error', error };
}

function recordOf(request: AccessRequest, { decision, outcome, ref }: Ending): AuditRecord {
  const { id, name, api, identity, peer, via, startedAt } = request;
  return {
    request_id: id,
    secret: name.slice(0, MAX_RECORDED_NAME),
    principal: principalOf(identity),
    role: identity.role,
    decision,
    outcome,
    store: ref?.store ?? null,
    backend: (ref && api.storeOf(ref)?.backend) ?? null,
    policy: ref?.policy ?? null,
    peer,
    ...(via && { via }),
    duration_ms: Math.round((performance.now() - startedAt) * 1_000) / 1_000,
  };
}
