import type { Backend, BackendAnswer } from './backends/backend.js';
import { failure } from './backends/backend.js';
import { type ErrorCode, type Reason, SecretsError } from './domain/errors.js';
import type { ResolvedSecretLocation, SecretRef } from './domain/secrets.js';
import type { Gate } from './gate.js';

export interface RetrievalLimits {
  /** Milliseconds, from the moment that the backend is asked. */
  readonly backendTimeoutMs: number;
  readonly maxValueBytes: number;
}

/** The bytes of a secret, shared by all who asked for it at once; filled with zeros when the last one has let go. */
export interface SecretLease {
  readonly value: Buffer;
  release(): void;
}

type Outcome = { readonly value: Buffer } | { readonly code: ErrorCode; readonly reason: Reason | null };

const TIMED_OUT = Symbol('timed out');

/** Seen by nobody: all who waited have left. */
const CANCELLED: Outcome = { code: 'internal_error', reason: null };

/** One backend call and those who wait for it. */
interface Flight {
  readonly controller: AbortController;
  readonly outcome: Promise<Outcome>;
  holders: number;
}

export interface Retriever {
  /**
   * Rejects with a SecretsError. A caller whose signal is aborted is counted out and gets the signal's reason; the
   * last one to leave ends the backend call.
   */
  retrieve(location: ResolvedSecretLocation, signal?: AbortSignal): Promise<SecretLease>;
}

export interface RetrieverParts {
  readonly backendOf: (store: string) => Backend;
  readonly gate: Gate;
  readonly limits: RetrievalLimits;
  /** Told of each backend call that has ended by itself or at the timeout, and of the seconds that it took. */
  readonly onAnswer: (store: string, answer: BackendAnswer, seconds: number) => void;
}

export function createRetriever({ backendOf, gate, limits, onAnswer }: RetrieverParts): Retriever {
  // By the ref itself: another configuration has other refs, and shares no call with this one.
  const flights = new Map<SecretRef, Flight>();

  function start(location: ResolvedSecretLocation): Flight {
    const controller = new AbortController();
    const flight: Flight = {
      controller,
      holders: 0,
      outcome: ask(location, controller)
        .catch((): Outcome => ({ code: 'internal_error', reason: null }))
        .finally(() => {
          if (flights.get(location.ref) === flight) flights.delete(location.ref);
        }),
    };
    flights.set(location.ref, flight);
    return flight;
  }

  async function ask({ ref, store, location }: ResolvedSecretLocation, controller: AbortController): Promise<Outcome> {
    const { signal } = controller;
    const turn = await gate.enter(signal);
    if (turn === 'full') return { code: 'overloaded', reason: null };
    if (turn === 'aborted') return CANCELLED;
    const timer = setTimeout(() => {
      controller.abort(TIMED_OUT);
    }, limits.backendTimeoutMs).unref(); // what the backend has started keeps the process alive, not its bound
    const askedAt = performance.now();
    try {
      const answer = await backendOf(store.name).fetch({
        location,
        ...(ref.field !== undefined && { field: ref.field }),
        maxBytes: limits.maxValueBytes,
        signal,
      });
      if (signal.aborted) wipe(answer);
      if (signal.aborted && signal.reason !== TIMED_OUT) return CANCELLED;
      const checked = signal.aborted ? failure('backend_timeout', 'timeout') : bounded(answer, limits.maxValueBytes);
      onAnswer(store.name, checked, (performance.now() - askedAt) / 1_000);
      return checked.ok ? { value: checked.value } : { code: checked.code, reason: checked.reason };
    } finally {
      clearTimeout(timer);
      gate.leave();
    }
  }

  return {
    async retrieve(location, signal) {
      signal?.throwIfAborted();
      const flight = flights.get(location.ref) ?? start(location);
      flight.holders += 1;

      let released = false;
      const letGo = (): void => {
        if (released) return;
        released = true;
        flight.holders -= 1;
        if (flight.holders > 0) return;
        // Nobody may join a call that is being ended.
        if (flights.get(location.ref) === flight) flights.delete(location.ref);
        flight.controller.abort();
        void flight.outcome.then((outcome) => {
          if ('value' in outcome) outcome.value.fill(0);
        });
      };

      let outcome: Outcome;
      try {
        outcome = await orAborted(flight.outcome, signal);
      } catch (error) {
        letGo();
        throw error;
      }
      if (!('value' in outcome)) {
        letGo();
        throw new SecretsError(outcome.code, outcome.reason);
      }
      return { value: outcome.value, release: letGo };
    },
  };
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
    void promise.then((value) => {
      signal.removeEventListener('abort', abort);
      resolve(value);
    }, reject);
  });
}

function wipe(answer: BackendAnswer): void {
  if (answer.ok) answer.value.fill(0);
}

function bounded(answer: BackendAnswer, maxValueBytes: number): BackendAnswer {
  if (!answer.ok || (answer.value.length > 0 && answer.value.length <= maxValueBytes)) return answer;
  wipe(answer);
  return failure('backend_failed', answer.value.length === 0 ? 'empty_value' : 'value_too_large');
}
