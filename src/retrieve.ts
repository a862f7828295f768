import type { Backend, BackendAnswer } from './backends/backend.js';
import { failure } from './backends/backend.js';
import { createEnding, type Ending, type EndSignal } from './ending.js';
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

/** Seen by nobody: all who waited have left. */
const CANCELLED: Outcome = { code: 'internal_error', reason: null };

const DEFECT: Outcome = { code: 'internal_error', reason: null };

/** One backend call and those who wait for it. */
interface Flight {
  /** Over when the last of them has let go. */
  readonly left: Ending;
  readonly outcome: Promise<Outcome>;
  holders: number;
}

export interface Retriever {
  /**
   * Rejects with a SecretsError. A caller whose signal is aborted is counted out and gets the signal's reason; the
   * last one to leave ends the backend call.
   */
  retrieve(location: ResolvedSecretLocation, signal?: EndSignal): Promise<SecretLease>;
}

export interface RetrieverParts {
  readonly backendOf: (store: string) => Backend;
  readonly gate: Gate;
  readonly limits: RetrievalLimits;
  /** Told of each backend call that has ended by itself or at the timeout, and of the seconds that it took. */
  readonly onAnswer: (store: string, answer: BackendAnswer, seconds: number) => void;
}

export function createRetriever({ backendOf, gate, limits, onAnswer }: RetrieverParts): Retriever {
  // By the ref itself: another configuration has other refs, and shares no call with this one. Nothing is taken out: a
  // Map that is filled and emptied all the time keeps what it held from being collected early.
  const flights = new Map<SecretRef, Flight | undefined>();

  function start(location: ResolvedSecretLocation): Flight {
    const left = createEnding();
    const flight: Flight = { left, holders: 0, outcome: run(location, left.signal) };
    flights.set(location.ref, flight);
    return flight;
  }

  async function run(location: ResolvedSecretLocation, left: EndSignal): Promise<Outcome> {
    try {
      return await ask(location, left);
    } catch {
      return DEFECT;
    } finally {
      land(location.ref, left);
    }
  }

  /** Nobody may join a call that has ended, or is being ended. */
  function land(ref: SecretRef, left: EndSignal): void {
    if (flights.get(ref)?.left.signal === left) flights.set(ref, undefined);
  }

  async function ask({ ref, store, location }: ResolvedSecretLocation, left: EndSignal): Promise<Outcome> {
    const turn = await gate.enter(left);
    if (turn === 'full') return { code: 'overloaded', reason: null };
    if (turn === 'aborted') return CANCELLED;
    const bound = createBound(left, limits.backendTimeoutMs);
    const askedAt = performance.now();
    try {
      const answer = await backendOf(store.name).fetch({
        location,
        ...(ref.field !== undefined && { field: ref.field }),
        maxBytes: limits.maxValueBytes,
        get signal() {
          return bound.signal();
        },
      });
      if (left.aborted || bound.isPassed()) wipe(answer);
      if (left.aborted && !bound.isPassed()) return CANCELLED;
      const checked = bound.isPassed() ? failure('backend_timeout', 'timeout') : bounded(answer, limits.maxValueBytes);
      onAnswer(store.name, checked, (performance.now() - askedAt) / 1_000);
      return checked.ok ? { value: checked.value } : { code: checked.code, reason: checked.reason };
    } finally {
      bound.end();
      gate.leave();
    }
  }

  return {
    async retrieve(location, signal) {
      if (signal?.aborted === true) throw signal.reason;
      const flight = flights.get(location.ref) ?? start(location);
      flight.holders += 1;

      let released = false;
      const letGo = (): void => {
        if (released) return;
        released = true;
        flight.holders -= 1;
        if (flight.holders > 0) return;
        land(location.ref, flight.left.signal);
        flight.left.end();
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

/** The time that one backend call may take. */
interface Bound {
  /** Aborted when time is up or nobody waits any more. Made when it is first asked for: what answers at once needs none. */
  signal(): AbortSignal;
  isPassed(): boolean;
  end(): void;
}

function createBound(left: EndSignal, timeoutMs: number): Bound {
  let controller: AbortController | undefined;
  let timer: NodeJS.Timeout | undefined;
  let passed = false;
  const abort = (): void => controller?.abort();
  return {
    signal() {
      if (controller === undefined) {
        controller = new AbortController();
        timer = setTimeout(() => {
          passed = true;
          abort();
        }, timeoutMs).unref(); // what the backend has started keeps the process alive, not its bound
        left.addEventListener('abort', abort, { once: true });
      }
      return controller.signal;
    },
    isPassed: () => passed,
    end() {
      clearTimeout(timer);
      left.removeEventListener('abort', abort);
    },
  };
}

function orAborted<T>(promise: Promise<T>, signal: EndSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error); // of an AbortSignal whatever its owner gave
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
