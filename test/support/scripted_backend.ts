import type { Backend, BackendAnswer, BackendRequest, ProbeAnswer } from '../../src/backends/backend.js';

export interface ScriptedCall {
  readonly request: BackendRequest;
  answer(answer: BackendAnswer): void;
  fail(error: Error): void;
}

/** A backend whose calls are answered by the test. */
export interface ScriptedBackend extends Backend {
  readonly calls: ScriptedCall[];
  probes: number;
  probeAnswer: () => Promise<ProbeAnswer>;
}

export function scriptedBackend(): ScriptedBackend {
  const calls: ScriptedCall[] = [];
  const backend: ScriptedBackend = {
    calls,
    probes: 0,
    probeAnswer: () => Promise.resolve({ ok: true }),
    fetch: (request) =>
      new Promise((resolve, reject) => {
        calls.push({ request, answer: resolve, fail: reject });
      }),
    probe: () => {
      backend.probes += 1;
      return backend.probeAnswer();
    },
  };
  return backend;
}

/** Lets all that is due in this turn of the event loop happen. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
