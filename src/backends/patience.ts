import type { EndSignal } from '../ending.js';
import { type Backend, type BackendAnswer, type BackendFailure, failure, type ProbeAnswer, wipe } from './backend.js';

/** How long a call may take to be gone after its abort: somewhat longer than a killed process group does. */
const GRACE_MS = 3_000;

const TIMED_OUT = failure('backend_timeout', 'timeout');

/**
 * The same backend, whose calls end within bounded time after their abort. Nobody can end a read of a disk that hangs, so
 * such a call is left behind. Until it has ended the store is asked nothing more, as calls would pile up.
 */
export function withPatience(backend: Backend, graceMs = GRACE_MS): Backend {
  let leftBehind = 0;

  function bounded<Answer extends ProbeAnswer>(
    signal: EndSignal,
    ask: () => Promise<Answer>,
    forget: (late: Answer) => void,
  ): Promise<Answer | BackendFailure> {
    if (leftBehind > 0) return Promise.resolve(TIMED_OUT);
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      let isLeft = false;
      const abort = (): void => {
        timer = setTimeout(() => {
          isLeft = true;
          leftBehind += 1;
          resolve(TIMED_OUT);
        }, graceMs);
      };
      signal.addEventListener('abort', abort, { once: true });
      ask()
        .finally(() => {
          signal.removeEventListener('abort', abort);
          clearTimeout(timer);
          if (isLeft) leftBehind -= 1;
        })
        .then((answer) => {
          if (isLeft) forget(answer);
          resolve(answer);
        }, reject);
    });
  }

  return {
    fetch: (request) => bounded<BackendAnswer>(request.signal, async () => backend.fetch(request), wipe),
    probe: (signal) =>
      bounded<ProbeAnswer>(
        signal,
        () => backend.probe(signal),
        () => undefined,
      ),
  };
}
