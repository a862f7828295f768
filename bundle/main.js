#!/usr/bin/env node
// Starts the program. What V8 compiled of it when it was built is used again, which saves a quarter of a start, where
// this is the same Node with the same options; elsewhere the text is compiled as it always is.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { cachedDataVersionTag, setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

// A request goes through many small functions: V8 may put more of them into one than it would by itself.
setFlagsFromString('--max-inlined-bytecode-size=2000');
setFlagsFromString('--max-inlined-bytecode-size-cumulative=4000');
// When nothing is asked for a while, V8 gives back memory, and with it the code that it has optimized. That of Node 24 can
// be told to keep the code; others do not know the option, and would say so.
if (process.version.startsWith('v24.')) setFlagsFromString('--no-memory-reducer-favors-memory');

/** Where the compiled code of this Node with these options is. The options count as they are now: no other may follow. */
export const codeFolder = new URL(
  `code-${process.version}-${process.arch}-${cachedDataVersionTag().toString(16)}/`,
  import.meta.url,
);

/** The parts of the program that are loaded, by their names. The build keeps the code of theirs. */
export const parts = new Map();

const requireOfNode = createRequire(import.meta.url);
load('./program.cjs');

function load(id) {
  if (!id.startsWith('./')) return requireOfNode(id);
  const loaded = parts.get(id);
  if (loaded !== undefined) return loaded.module.exports;
  const url = new URL(id, import.meta.url);
  const filename = fileURLToPath(url);
  // The text is ASCII alone. V8 takes compiled code for that of the text by its length, and both are of one build.
  const script = new Script(readFileSync(filename, 'latin1'), { filename, cachedData: readCode(id) });
  const module = { exports: {} };
  parts.set(id, { script, module });
  script.runInThisContext()(load, module, url.href);
  return module.exports;
}

function readCode(id) {
  try {
    return readFileSync(new URL(id, codeFolder));
  } catch {
    return undefined;
  }
}
