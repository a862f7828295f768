import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import type { Native } from '../../src/os/native.js';
import { releaseProgramPages } from '../../src/os/program_pages.js';
import { nodeProgram } from '../support/node.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

const MODULE = (name: string): string => new URL(`../../src/os/${name}.ts`, import.meta.url).href;

const mapping = (place: string, anonymousKb: number): string =>
  `${place}
Size:                100 kB
Rss:                  50 kB
Private_Dirty:         0 kB
Anonymous:      ${String(anonymousKb).padStart(8)} kB
VmFlags: rd ex mr mw me
`;

t.test('only what is as in its file, and cannot be written, is released', (t) => {
  const maps = writeFile(
    temporaryFolder(t),
    'smaps',
    [
      mapping('00400000-00b6f000 r--p 00000000 fe:00 24758                     /usr/bin/node', 0),
      mapping('00b72000-025fe000 r-xp 00772000 fe:00 24758                     /usr/bin/a name', 0),
      mapping('02601000-0563a000 r--p 02201000 fe:00 24758                     /usr/bin/node', 4),
      mapping('0563b000-05650000 rw-p 0523a000 fe:00 24758                     /usr/bin/node', 0),
      mapping('05650000-05660000 r--s 0523a000 fe:00 24758                     /usr/share/cache', 0),
      mapping('2ed18000-2f136000 r--p 00000000 00:00 0                         [heap]', 0),
      mapping('2f136000-2f137000 r-xp 00000000 00:00 0 ', 0),
      mapping('7f8d16a44000-7f8d16b9a000 r-xp 00026000 fe:00 32626             /usr/lib/libc.so.6', 0),
    ].join(''),
  );
  const released: string[] = [];
  const kernel = {
    releasePages: (from: bigint, to: bigint) => released.push(`${from.toString(16)}-${to.toString(16)}`) > 0,
  } as unknown as Native;
  releaseProgramPages(kernel, maps);
  t.same(released, ['400000-b6f000', 'b72000-25fe000', '7f8d16a44000-7f8d16b9a000']);
  t.end();
});

t.test('where it cannot be known nothing is released', (t) => {
  const kernel = { releasePages: () => t.fail('released') } as unknown as Native;
  releaseProgramPages(kernel, join(temporaryFolder(t), 'absent'));
  releaseProgramPages(null);
  t.end();
});

t.test('a process that has released its pages is smaller, goes on, and is hardened no less', (t) => {
  const program = writeFile(
    temporaryFolder(t),
    'release.ts',
    `import { readFileSync } from 'node:fs';
import { hardenProcess } from '${MODULE('hardening')}';
import { releaseProgramPages } from '${MODULE('program_pages')}';
const resident = () => Number(/^RssFile:\\s+(\\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'))[1]);
hardenProcess();
const before = resident();
releaseProgramPages();
const after = resident();
let sum = 0;
for (let round = 0; round < 100; round += 1) sum += JSON.parse(JSON.stringify({ text: 'x'.repeat(round) })).text.length;
process.stdout.write(JSON.stringify([before, after, sum]), () => process.kill(process.pid, 'SIGKILL'));
`,
  );
  const [file = '', ...args] = nodeProgram(program);
  // It writes no report of what was covered: nobody may read it any more.
  const { stdout } = spawnSync(file, args, { encoding: 'utf8' });
  const [before = 0, after = 0, sum] = JSON.parse(stdout) as number[];
  t.ok(after < before / 2, `${before} kB before, ${after} kB after`);
  t.equal(sum, 4_950);
  t.end();
});
