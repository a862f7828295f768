import type { Scene } from './scene.js';

/** One thing that goes wrong around the real daemon process. */
export interface Fault {
  /** As docs/reliability.md names it. */
  readonly name: string;
  /** What is wrong, and what is asked meanwhile. */
  readonly asked: string;
  /** Why it cannot be shown on this machine. */
  readonly skip?: () => string | false;
  /** Brings it about, and throws when what comes back is not what it has to be. Afterwards all must be well again. */
  readonly act: (scene: Scene) => Promise<void>;
}
