// node keep_code.js ARGUMENT …: runs the program that is built, and keeps what V8 has compiled of it at its end beside it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { codeFolder, parts } from '../dist/main.js';

process.on('exit', (status) => {
  if (status !== 0) return;
  mkdirSync(codeFolder, { recursive: true });
  for (const [id, { script }] of parts) writeFileSync(new URL(id, codeFolder), script.createCachedData());
});
