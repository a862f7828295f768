#!/usr/bin/env node
// Starts the program. What V8 compiled of it when it was built is used again, which saves a quarter of a start, where
// this is the same Node with the same options; elsewhere the text is compiled as it always is.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cachedDataVersionTag, setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

// A request goes through many small functions: V8 may put more of them into one than it would by itself.
setFlagsFromString('--max-inlined-bytecode-size=2000');
setFlagsFromString('--max-inlined-bytecode-size-cumulative=4000');
// A few seconds after a burst of requests V8 gives back memory, and with it the code that it has optimized: the next burst
// takes twice as long. So it waits ten minutes. Each Node has an option of its own, and complains of one that it does not
// know; none of 24 makes it wait, and the one that keeps the code there keeps most of the memory as well.
const KEEP_CODE = {
  20: '--gc-memory-reducer-start-delay-ms=600000',
  22: '--gc-memory-reducer-start-delay-ms=600000',
  24: '--no-memory-reducer-favors-memory',
  26: '--memory-reducer-delay-ms=600000',
};
const [major] = process.versions.node.split('.');
if (major in KEEP_CODE) setFlagsFromString(KEEP_CODE[major]);

/** Where the compiled code of this Node with these options is. The options count as they are now: no other may follow. */
export const codeFolder = new URL(
  `code-${process.version}-${process.arch}-${cachedDataVersionTag().toString(16)}/`,
  import.meta.url,
);

const SUM_BYTES = 32;

/** What compiled code is kept behind. */
export function sumOf(text, code) {
  return createHash('sha256').update(text).update(code).digest();
}

/** The parts of the program that are loaded, by their names. The build keeps the code of theirs. */
export const parts = new Map();

const requireOfNode = createRequire(import.meta.url);
load('./program.cjs');

function load(id) {
  if (!id.startsWith('./')) return requireOfNode(id);
  const loaded = parts.get(id);
  if (loaded !== undefined) return loaded.module.exports;
  const url = new URL(id, import.meta.url);
  const text = readFileSync(url);
  // The text is ASCII alone. Its name is kept with the code: that of the folder would be where it was built.
  const script = new Script(text.toString('latin1'), { filename: id, cachedData: readCode(id, text) });
  const module = { exports: {} };
  parts.set(id, { script, module });
  script.runInThisContext()(load, module, url.href);
  return module.exports;
}

/** Undefined where there is none, or one of another text, or one that is damaged: V8 would run either. */
function readCode(id, text) {
  try {
    const kept = readFileSync(new URL(id, codeFolder));
    const code = kept.subarray(SUM_BYTES);
    return sumOf(text, code).equals(kept.subarray(0, SUM_BYTES)) ? code : undefined;
  } catch {
    return undefined;
  }
}
