import { performance } from 'node:perf_hooks';
import { isDeepStrictEqual } from 'node:util';
import type { Backend, BackendAnswer, ProbeAnswer } from './backends/backend.js';
import { failure } from './backends/backend.js';
import type { BackendErrorCode, Reason } from './domain/errors.js';
import type { SecretStore } from './domain/secrets.js';

/** How old a probe's answer may be before a store is probed again: whoever polls readiness starts no flood of processes. */
const PROBE_LASTS_MS = 1_000;

export interface StoreStatus {
  readonly backend: string;
  readonly status: 'ready' | 'unready';
  /** Absent when ready. */
  readonly code?: BackendErrorCode;
  readonly reason?: Reason;
}

export interface Readiness {
  /** By store name, in the order of the names. Each store is probed once at a time, outside the bounds of fetches. */
  stores(): Promise<ReadonlyMap<string, StoreStatus>>;
  /** What a fetch told: these codes keep a store unready until a fetch succeeds. */
  noteAnswer(store: string, answer: BackendAnswer): void;
  /** What is known of the fetches of a store that has not changed: whoever takes over goes on with it. */
  fetchesOf(store: SecretStore): Fetches | undefined;
}

export interface Fetches {
  /** What keeps the store unready. */
  trouble: { readonly code: BackendErrorCode; readonly reason: Reason } | undefined;
}

interface ProbeState {
  answer: Promise<ProbeAnswer> | undefined;
  endedAt: number;
  failed: boolean;
}

export function createReadiness(
  stores: readonly SecretStore[],
  backendOf: (store: string) => Backend,
  timeoutMs: number,
  before?: Readiness,
): Readiness {
  const probes = new Map<string, ProbeState>();
  const fetches = new Map(
    stores.map((store): [string, Fetches] => [store.name, before?.fetchesOf(store) ?? { trouble: undefined }]),
  );

  function probe(name: string): Promise<ProbeAnswer> {
    const last = probes.get(name);
    if (last?.answer !== undefined && performance.now() - last.endedAt < PROBE_LASTS_MS) return last.answer;
    const state: ProbeState = { answer: undefined, endedAt: Infinity, failed: false };
    const timeout = AbortSignal.timeout(timeoutMs);
    state.answer = backendOf(name)
      .probe(timeout)
      .then((answer) => {
        const checked = timeout.aborted ? failure('backend_timeout', 'timeout') : answer;
        state.failed = !checked.ok;
        return checked;
      })
      .finally(() => {
        state.endedAt = performance.now();
      });
    probes.set(name, state);
    return state.answer;
  }

  return {
    async stores() {
      const statuses = await Promise.all(
        stores.map(async ({ name, backend }): Promise<[string, StoreStatus]> => {
          const answer = await probe(name);
          const problem = answer.ok ? fetches.get(name)?.trouble : answer;
          if (problem === undefined) return [name, { backend, status: 'ready' }];
          return [name, { backend, status: 'unready', code: problem.code, reason: problem.reason }];
        }),
      );
      return new Map(statuses);
    },
    noteAnswer(store, answer) {
      const of = fetches.get(store) as Fetches;
      if (answer.ok) {
        of.trouble = undefined;
        if (probes.get(store)?.failed === true) probes.delete(store); // it is so no more
      } else if (['backend_locked', 'backend_unavailable', 'backend_timeout'].includes(answer.code)) {
        of.trouble = { code: answer.code, reason: answer.reason };
      }
    },
    fetchesOf(store) {
      const isSame = stores.some((own) => isDeepStrictEqual(own, store));
      return isSame ? fetches.get(store.name) : undefined;
    },
  };
}
