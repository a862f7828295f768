import type { BackendKind } from './backend.js';
import { envKind } from './env.js';
import { gopassKind } from './gopass.js';

/** Every backend that a store may name. A new one is one file and one row. */
export const BACKENDS: ReadonlyMap<string, BackendKind> = new Map([
  ['gopass', gopassKind],
  ['env', envKind],
]);
