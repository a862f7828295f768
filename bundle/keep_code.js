// node keep_code.js ARGUMENT …: runs the program that is built, and keeps what V8 has compiled of it at its end beside it.
import { Buffer } from 'node:buffer';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { codeFolder, parts, sumOf } from '../dist/main.js';

process.on('exit', (status) => {
  if (status !== 0) return;
  mkdirSync(codeFolder, { recursive: true });
  for (const [id, { script }] of parts) {
    const text = readFileSync(new URL(`../dist/${id}`, import.meta.url));
    const code = script.createCachedData();
    writeFileSync(new URL(id, codeFolder), Buffer.concat([sumOf(text, code), code]));
  }
});
