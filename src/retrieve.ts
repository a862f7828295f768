import { performance } from 'node:perf_hooks';
import type { Backend, BackendAnswer, BackendRequest } from './backends/backend.js';
import { failure, wipe } from './backends/backend.js';
import { createEnding, type Ending, type EndSignal, orAborted } from './ending.js';
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
   * Throws or rejects with a SecretsError. What a backend has at once is given at once. A caller whose signal is aborted
   * is counted out and gets the signal's reason; the last one to leave ends the backend call.
   */
  retrieve(location: ResolvedSecretLocation, signal?: EndSignal): SecretLease | Promise<SecretLease>;
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

  /** Nobody may join a call that has ended, or is being ended. */
  function land({ ref }: ResolvedSecretLocation, left: Ending): void {
    if (flights.get(ref)?.left === left) flights.set(ref, undefined);
  }

  async function askInTurn(location: ResolvedSecretLocation, left: EndSignal): Promise<Outcome> {
    const turn = await gate.enter(left);
    if (turn === 'full') return { code: 'overloaded', reason: null };
    return turn === 'aborted' ? CANCELLED : ask(location, left);
  }

  /** Owes the gate one `leave`. */
  function ask({ ref, store, location }: ResolvedSecretLocation, left: EndSignal): Outcome | Promise<Outcome> {
    const call = new Call(location, ref.field, limits, left);
    const askedAt = performance.now();

    function conclude(answer: BackendAnswer): Outcome {
      if (left.aborted || call.isOverdue) wipe(answer);
      if (left.aborted && !call.isOverdue) return CANCELLED;
      const checked = call.isOverdue ? failure('backend_timeout', 'timeout') : bounded(answer, limits.maxValueBytes);
      onAnswer(store.name, checked, (performance.now() - askedAt) / 1_000);
      return checked.ok ? { value: checked.value } : { code: checked.code, reason: checked.reason };
    }

    function end(): void {
      call.end();
      gate.leave();
    }

    let answer: BackendAnswer | Promise<BackendAnswer> | undefined;
    try {
      answer = backendOf(store.name).fetch(call);
      if (!(answer instanceof Promise)) return conclude(answer);
    } catch {
      return DEFECT;
    } finally {
      if (!(answer instanceof Promise)) end();
    }
    return answer
      .then(conclude)
      .catch(() => DEFECT)
      .finally(end);
  }

  function start(location: ResolvedSecretLocation): Outcome | Flight {
    const left = createEnding();
    const asked = gate.tryEnter() ? ask(location, left) : askInTurn(location, left);
    if (!(asked instanceof Promise)) return asked;
    const flight: Flight = { left, holders: 0, outcome: asked.finally(() => land(location, left)) };
    flights.set(location.ref, flight);
    return flight;
  }

  async function join(location: ResolvedSecretLocation, flight: Flight, signal?: EndSignal): Promise<SecretLease> {
    flight.holders += 1;

    let released = false;
    const letGo = (): void => {
      if (released) return;
      released = true;
      flight.holders -= 1;
      if (flight.holders > 0) return;
      land(location, flight.left);
      flight.left.end();
      void flight.outcome.then((outcome) => {
        if ('value' in outcome) outcome.value.fill(0);
      });
    };

    try {
      return { value: valueOf(await orAborted(flight.outcome, signal)), release: letGo };
    } catch (error) {
      letGo();
      throw error;
    }
  }

  return {
    retrieve(location, signal) {
      if (signal?.aborted === true) throw signal.reason as Error;
      const flight = flights.get(location.ref) ?? start(location);
      if ('left' in flight) return join(location, flight, signal);
      const value = valueOf(flight);
      return { value, release: () => void value.fill(0) };
    },
  };
}

function valueOf(outcome: Outcome): Buffer {
  if ('value' in outcome) return outcome.value;
  throw new SecretsError(outcome.code, outcome.reason);
}

/** What a backend is asked, and the time that it has. */
class Call implements BackendRequest {
  readonly location: string;
  declare readonly field?: string;
  readonly maxBytes: number;
  /** Time was up before there was an answer. */
  isOverdue = false;
  private readonly timeoutMs: number;
  private readonly left: EndSignal;
  private ending: Ending | undefined;
  private letGo: (() => void) | undefined;

  constructor(location: string, field: string | undefined, limits: RetrievalLimits, left: EndSignal) {
    this.location = location;
    if (field !== undefined) this.field = field;
    this.maxBytes = limits.maxValueBytes;
    this.timeoutMs = limits.backendTimeoutMs;
    this.left = left;
  }

  /** Made when it is first asked for: what answers at once needs none. */
  get signal(): EndSignal {
    if (this.ending === undefined) {
      const ending = createEnding();
      const abort = (): void => ending.end();
      const timer = setTimeout(() => {
        this.isOverdue = true;
        abort();
      }, this.timeoutMs).unref(); // what the backend has started keeps the process alive, not its bound
      if (this.left.aborted) abort();
      else this.left.addEventListener('abort', abort, { once: true });
      this.ending = ending;
      this.letGo = () => {
        clearTimeout(timer);
        this.left.removeEventListener('abort', abort);
      };
    }
    return this.ending;
  }

  end(): void {
    this.letGo?.();
  }
}

function bounded(answer: BackendAnswer, maxValueBytes: number): BackendAnswer {
  if (!answer.ok || (answer.value.length > 0 && answer.value.length <= maxValueBytes)) return answer;
  wipe(answer);
  return failure('backend_failed', answer.value.length === 0 ? 'empty_value' : 'value_too_large');
}
