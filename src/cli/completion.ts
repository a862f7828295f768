import { UsageError } from './arguments.js';
import { bashCompletion } from './completion/bash.js';
import { fishCompletion } from './completion/fish.js';
import { zshCompletion } from './completion/zsh.js';
import { EXIT } from './exit_status.js';
import type { Io } from './io.js';
import { type Shell, SHELLS } from './shells.js';

const SCRIPTS: ReadonlyMap<string, () => string> = new Map(
  Object.entries({ bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } satisfies Record<
    Shell,
    () => string
  >),
);

export async function completion(io: Io, shell: string): Promise<number> {
  const script = SCRIPTS.get(shell);
  if (script === undefined) throw new UsageError(`completion takes one of ${SHELLS.join(', ')}`);
  await io.stdout.write(script());
  return EXIT.ok;
}
