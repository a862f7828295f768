import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { hardenProcess } from '../../src/os/hardening.js';
import type { Native } from '../../src/os/native.js';
import { nodeProgram } from '../support/node.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

const MODULE = new URL('../../src/os/hardening.ts', import.meta.url).href;

t.test('a hardened process leaves no core and does not let its memory be read', (t) => {
  // In a process of its own: a coverage report is written by one that may be read.
  const program = writeFile(
    temporaryFolder(t),
    'harden.ts',
    `import { readFileSync } from 'node:fs';
import { hardenProcess } from '${MODULE}';
const left = hardenProcess();
const limits = readFileSync('/proc/self/limits', 'latin1');
console.log(JSON.stringify([left, /^Max core file size +(\\S+) +(\\S+)/m.exec(limits)?.slice(1)]));
setTimeout(() => undefined, 60_000);
`,
  );
  const [file, ...args] = nodeProgram(program);
  // Another process of the same user, without rights over others, sees nothing but its name any more.
  const script =
    '"$@" >"$0" & until [ -s "$0" ]; do sleep 0.02; done; stat -c %u "/proc/$!/mem"; cat "$0"; kill -KILL $!';
  const output = execFileSync('sh', ['-c', script, join(temporaryFolder(t), 'out'), file!, ...args], {
    encoding: 'latin1',
  });
  t.same(output.split('\n'), ['0', '[[],["0","0"]]', ''], 'its files in /proc belong to root');
  t.end();
});

t.test('what stays open is told', (t) => {
  t.same(hardenProcess(null), ['core_dumps', 'memory_of_process', 'environment_block']);
  const refusing = { forbidCores: () => false, forbidReading: () => false } as unknown as Native;
  t.same(hardenProcess(refusing), ['core_dumps', 'memory_of_process']);
  const allowing = { forbidCores: () => true, forbidReading: () => true } as unknown as Native;
  t.same(hardenProcess(allowing), []);
  t.end();
});
