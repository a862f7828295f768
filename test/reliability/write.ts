// Runs all that docs/reliability.md tells of, and writes it: `npm run docs:reliability -- --minutes N` for a soak of N
// minutes. MXM_FUZZ_SEED and MXM_FUZZ_CASES count for the fuzzing.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { VERSION } from '../../src/version.js';
import { ROOT } from '../support/markdown.js';
import { realGopass } from '../support/real_component.js';
import type { ReportKind } from '../support/report.js';
import { type FaultLine, type FuzzLine, type MemoryLine, reliabilityPage, type SoakLine } from './page.js';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' } } });
const folder = mkdtempSync(join(tmpdir(), 'mxm-report-'));

/** With CI set no component may be missing. */
function run(command: string, ...args: string[]): void {
  console.log(`\n$ ${[command, ...args].join(' ')}`);
  const env = { ...process.env, CI: 'true', MXM_REPORT_DIR: folder };
  const { status } = spawnSync(command, args, { cwd: ROOT, env, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: the page stays as it is`);
}

function linesOf(kind: ReportKind): unknown[] {
  return readFileSync(join(folder, `${kind}.jsonl`), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);
}

function versionOf(program: string): string {
  return execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
}

try {
  run('npm', 'run', '--silent', 'test:faults');
  run('npm', 'run', '--silent', 'test:fuzz');
  run(process.execPath, '--import=tsx', 'test/memory.test.ts');
  run('npm', 'run', '--silent', 'soak', '--', '--minutes', values.minutes);
  const page = reliabilityPage({
    setting: {
      date: new Date().toISOString().slice(0, 10),
      'mxm-secretsd': VERSION,
      Node: process.version,
      gopass: versionOf(realGopass().file),
      gpg: versionOf('gpg'),
      kernel: `${process.platform} ${release()}`,
      machine: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 1024 ** 3)} GiB`,
    },
    faults: linesOf('faults') as FaultLine[],
    fuzz: linesOf('fuzz')[0] as FuzzLine,
    memory: linesOf('memory')[0] as MemoryLine,
    soak: linesOf('soak')[0] as SoakLine,
  });
  writeFileSync(join(ROOT, 'docs/reliability.md'), page);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
