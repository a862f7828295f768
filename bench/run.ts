// Measures: `npm run bench`, or `npm run bench -- NAME…` for single benches. Tables on stdout, progress on stderr.
// `--quick` shows only that all of it works, `--write` writes docs/benchmarks.md and its plots.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EXIT } from '../src/cli/exit_status.js';
import { ROOT } from '../test/support/markdown.js';
import type { Ending } from '../test/support/temporary.js';
import { type Bench, FULL_PACE, type Pace, QUICK_PACE, type Results } from './bench.js';
import { answers } from './load.js';
import { machine, watchSteal } from './machine.js';
import { plotSvg } from './plot.js';
import { type Progress, progressOn } from './progress.js';
import { benchmarksPage, type Report, reportText, type Section } from './report.js';
import { SUITE } from './suite.js';

/** Benches that did not come to their end. */
const failed: string[] = [];

const NAMES = SUITE.map(({ name }) => name);

function wanted(names: readonly string[]): readonly Bench[] {
  const unknown = names.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw new RangeError(`there is no bench ${unknown}: ${NAMES.join(', ')}`);
  return names.length === 0 ? SUITE : SUITE.filter(({ name }) => names.includes(name));
}

function orders(): { benches: readonly Bench[]; pace: Pace; write: boolean } {
  const { values, positionals } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  return { benches: wanted(positionals), pace: values.quick ? QUICK_PACE : FULL_PACE, write: values.write };
}

async function measure(bench: Bench, pace: Pace, progress: Progress): Promise<Results | string> {
  progress(bench.name);
  const teardowns: (() => unknown)[] = [];
  const t: Ending = { teardown: (callback) => void teardowns.push(callback) };
  try {
    const missing = bench.missing();
    return missing === false ? await bench.run({ t, pace, progress }) : missing;
  } catch (error) {
    // The others are worth their while all the same.
    console.error(error);
    failed.push(bench.name);
    return `it failed: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    for (const teardown of teardowns.reverse()) await teardown();
  }
}

function write(report: Report): void {
  const folder = join(ROOT, 'docs/benchmarks');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const { results } of report.sections) {
    if (typeof results === 'string') continue;
    for (const { name, plot } of results.plots ?? []) writeFileSync(join(folder, `${name}.svg`), plotSvg(plot));
  }
  writeFileSync(join(ROOT, 'docs/benchmarks.md'), benchmarksPage(report));
}

async function main(): Promise<number> {
  let ordered;
  try {
    ordered = orders();
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    return EXIT.usage;
  }
  const setting = machine();
  const stolen = watchSteal();
  const progress = progressOn(process.stderr);
  const sections: Section[] = [];
  for (const bench of ordered.benches) {
    const { name, title } = bench;
    sections.push({ name, title, results: await measure(bench, ordered.pace, progress) });
  }
  progress.done();
  setting['processor time that other machines took meanwhile'] = `${stolen().toFixed(1)} %`;
  setting['answers, and those by 503, which are in no figure'] =
    `${answers.measured.toLocaleString('en-US')}, ${answers.refused}`;
  const report = { setting, sections };
  if (!ordered.write) console.log(reportText(report));
  else if (failed.length === 0) write(report);
  else console.error(`bench: ${failed.join(', ')} failed: the page stays as it is`);
  return failed.length === 0 ? EXIT.ok : EXIT.defect;
}

process.exitCode = await main();
