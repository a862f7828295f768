import type { BackendKind } from './backend.js';
import { ageKind } from './age.js';
import { envKind } from './env.js';
import { fileKind } from './file.js';
import { gopassKind } from './gopass.js';
import { openbaoKind } from './openbao.js';
import { passKind } from './pass.js';

/** Every backend that a store may name. A new one is one file and one row. */
export const BACKENDS: ReadonlyMap<string, BackendKind> = new Map([
  ['gopass', gopassKind],
  ['env', envKind],
  ['pass', passKind],
  ['age', ageKind],
  ['file', fileKind],
  ['openbao', openbaoKind],
]);
