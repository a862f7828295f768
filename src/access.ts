import { performance } from 'node:perf_hooks';
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
  /** Whether nobody else can ask, so that no other record comes in the same turn; absent where that is not known. */
  readonly isAlone?: () => boolean;
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
  /** There once the audit record is written, or could not be: only then may there be an answer. */
  open(request: AccessRequest): Access | Promise<Access>;
}

/** How a request ended, before anything is told to anybody. */
type Ending = Reached &
  (
    | { readonly outcome: 'ok'; readonly lease: SecretLease }
    | { readonly outcome: ErrorCode | 'cancelled'; readonly error?: unknown }
  );

interface Reached {
  readonly decision: AuditRecord['decision'];
  readonly ref?: SecretRef | undefined;
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

  function record(request: AccessRequest, ending: Ending): Access | Promise<Access> {
    tellWhy(request, ending);
    metrics.countDecision(ending.decision);
    const forget = (defect: unknown): never => {
      giveBack(ending);
      throw defect;
    };
    let recorded: boolean | Promise<boolean>;
    try {
      recorded = audit.record(recordOf(request, ending), request.isAlone?.());
    } catch (defect) {
      return forget(defect);
    }
    return recorded instanceof Promise
      ? recorded.then((late) => accessOf(ending, late), forget)
      : accessOf(ending, recorded);
  }

  return {
    open(request) {
      const ending = end(request);
      return ending instanceof Promise ? ending.then((late) => record(request, late)) : record(request, ending);
    },
  };
}

function giveBack(ending: Ending): void {
  if (ending.outcome === 'ok') ending.lease.release();
}

function accessOf(ending: Ending, recorded: boolean): Access {
  if (!recorded) {
    giveBack(ending);
    return { ok: false, code: 'audit_unavailable' };
  }
  if (ending.outcome === 'ok') return { ok: true, lease: ending.lease };
  // Of a caller that has left nobody reads the answer.
  return { ok: false, code: isErrorCode(ending.outcome) ? ending.outcome : 'internal_error' };
}

/** The first rule that applies ends the request; a backend is asked when none does. */
function end(request: AccessRequest): Ending | Promise<Ending> {
  try {
    const refusal = request.refuse();
    if (!(refusal instanceof Promise)) return refusal ?? decide(request);
    return refusal
      .then((late) => late ?? decideLate(request))
      .catch((error: unknown) => failed(request, { decision: null }, error));
  } catch (error) {
    return failed(request, { decision: null }, error);
  }
}

/** Who has left by then asks for nothing. */
function decideLate(request: AccessRequest): Ending | Promise<Ending> {
  return request.over.aborted ? { decision: null, outcome: 'cancelled' } : decide(request);
}

function decide(request: AccessRequest): Ending | Promise<Ending> {
  const { api, identity, name, over } = request;
  if (!isIdentifier(name)) return { decision: 'invalid', outcome: 'invalid_secret_name' };
  const decided = api.decide(name, identity);
  try {
    if (decided.decision === 'unknown') return { decision: 'unknown', outcome: 'unknown_secret' };
    const { decision, ref } = decided;
    if (decided.decision === 'denied') return { decision, ref, outcome: 'access_denied' };
    const refused = request.refuseAllowed?.() ?? null;
    if (refused !== null) return { decision, ref, outcome: refused };
    const lease = api.retrieve(decided, over);
    if (!(lease instanceof Promise)) return granted(request, decided, lease);
    return lease.then(
      (late) => granted(request, decided, late),
      (error: unknown) => failed(request, decided, error),
    );
  } catch (error) {
    return failed(request, decided, error);
  }
}

function granted({ maxBytes = Infinity }: AccessRequest, { decision, ref }: Reached, lease: SecretLease): Ending {
  if (lease.value.length <= maxBytes) return { decision, ref, outcome: 'ok', lease };
  lease.release();
  return { decision, ref, outcome: 'backend_failed', error: new SecretsError('backend_failed', 'value_too_large') };
}

function failed({ over }: AccessRequest, { decision, ref }: Reached, error: unknown): Ending {
  if (error instanceof SecretsError) return { decision, ref, outcome: error.code, error };
  if (over.aborted) return { decision, ref, outcome: 'cancelled' };
  return { decision, ref, outcome: 'internal_error', error };
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
    via,
    duration_ms: performance.now() - startedAt,
  };
}
