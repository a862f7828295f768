// Brings about each fault of the suite, or those whose names hold one of the arguments, and prints what came of it.
import { report } from '../support/report.js';
import type { Ending } from '../support/temporary.js';
import type { Fault } from './fault.js';
import { Scene } from './scene.js';
import { SUITE } from './suite.js';

/** The longest of them wait for bounds of 30 s. */
const AT_ONCE = 3;

/** Only a fault that never ends takes so long: on a busy machine 200 starts of daemons need more than two minutes. */
const TIMEOUT_MS = 300_000;

const wanted = process.argv.slice(2);
const waiting = SUITE.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const failed: string[] = [];
let held = 0;
let skipped = 0;

async function show({ name, asked, act, skip }: Fault): Promise<void> {
  const reason = skip?.() ?? false;
  if (reason !== false) {
    skipped += 1;
    console.log(`skip  ${name}: ${reason}`);
    return;
  }
  const teardowns: (() => unknown)[] = [];
  const t: Ending = { teardown: (callback) => void teardowns.push(callback) };
  const scene = new Scene(t);
  const begun = performance.now();
  try {
    const left = await withinTime(
      (async () => {
        await act(scene);
        await scene.goodRequest();
        return scene.quiet();
      })(),
    );
    held += 1;
    const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
    console.log(`ok    ${name} (${seconds} s): ${tell(scene.answers)}`);
    report('faults', { name, asked, answers: scene.answers, next: '200', ...left });
  } catch (error) {
    failed.push(name);
    console.log(`FAIL  ${name}: ${tell(scene.answers)}\n${String(error instanceof Error ? error.stack : error)}`);
    try {
      console.log(`      left: ${scene.left().join(', ')}\n      stderr: ${scene.daemon.stderr()}`);
    } catch {
      console.log('      there was no daemon');
    }
  }
  for (const teardown of teardowns.reverse()) await teardown();
}

async function withinTime<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not over after ${TIMEOUT_MS / 1_000} s`)), TIMEOUT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function tell(answers: Record<string, number>): string {
  return Object.entries(answers)
    .map(([what, count]) => `${what} × ${count}`)
    .join(', ');
}

async function work(): Promise<void> {
  for (let fault = waiting.shift(); fault !== undefined; fault = waiting.shift()) await show(fault);
}

await Promise.all(Array.from({ length: AT_ONCE }, work));
console.log(`${held} faults held, ${failed.length} did not${skipped === 0 ? '' : `, ${skipped} skipped`}`);
if (failed.length > 0) console.log(`not held: ${failed.join(', ')}`);
// What a fault that did not end has left running would keep this process alive.
process.exit(failed.length > 0 || held + skipped === 0 ? 1 : 0);
