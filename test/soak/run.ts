// Mixed load on the real daemon while faults come and go: `npm run soak -- --minutes N`. Ends non-zero when the daemon
// grows, answers what it must not, or leaves something behind. Ctrl-C ends it early, with the report.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { GOOD_VALUE, Scene } from '../faults/scene.js';
import { createGopassStore } from '../support/gopass_store.js';
import { childrenOf, descriptorsOf, processesWith, residentBytes } from '../support/process_table.js';
import { realGopass, realGpg, skipWithout } from '../support/real_component.js';
import { report } from '../support/report.js';
import type { Ending } from '../support/temporary.js';
import { grown, type Sample } from './growth.js';
import { askOnAndOn, MISCHIEF, MISCHIEVOUS } from './load.js';

const CALLERS = 12;
const SAMPLE_MS = 250;
/** Rows of the table in the end. */
const ROWS = 10;
/** In which all has to be gone once the load has ended. */
const QUIET_MS = 30_000;

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' } } });
const minutes = Number(values.minutes);
if (!(minutes > 0)) {
  console.error('--minutes takes a number above 0');
  process.exit(64);
}

const teardowns: (() => unknown)[] = [];
const t: Ending = { teardown: (callback) => void teardowns.push(callback) };
const scene = new Scene(t);

const withoutGopass = skipWithout(realGopass(), realGpg());
if (withoutGopass !== false) console.log(`the good secret comes from a script: ${withoutGopass}`);
const user = withoutGopass === false ? createGopassStore(t) : undefined;
user?.insert('mxm/good', GOOD_VALUE);
const { folder, pid } = {
  ...(await scene.start({
    faulty: MISCHIEF,
    ...(user && { user }),
    refs: [
      ...MISCHIEVOUS.map((name) => `${name}: { store: faulty, path: ${name}, policy: open }`),
      'denied: { store: local, path: local, policy: closed }',
    ],
    launch: `limits: { backend_concurrency: 4, queue: 8, backend_timeout_ms: 700 }\nlog: { audit_file: audit.jsonl }\n`,
    stdout: 'ignore',
    detached: true,
  })),
  pid: scene.pid,
};

let interrupted = false;
process.once('SIGINT', () => (interrupted = true));
const begun = performance.now();
const elapsed = (): number => (performance.now() - begun) / 60_000;
const stopped = (): boolean => interrupted || elapsed() >= minutes;

interface Row extends Sample {
  readonly minute: number;
  readonly requests: number;
}
const rows: Row[] = [];
const unexpected = new Map<string, number>();

await Promise.all([
  ...Array.from({ length: CALLERS }, () =>
    askOnAndOn(scene, stopped, (what) => unexpected.set(what, (unexpected.get(what) ?? 0) + 1)),
  ),
  watch(),
  rotateAudit(),
  breakConfiguration(),
  killAgents(),
]);

const quiet = await Promise.race([scene.quiet(), sleep(QUIET_MS)]);
const failures = [
  ...(quiet === undefined ? [`left behind: ${scene.surplus()} descriptors, processes ${scene.left().join(', ')}`] : []),
  ...[...unexpected].map(([what, count]) => `unexpected: ${what} × ${count}`),
  ...(grown(rows)?.map((what) => `grown: ${what}`) ?? []),
];
tell();
for (const teardown of teardowns.reverse()) await teardown();
process.exit(failures.length === 0 ? 0 : 1);

// --- what goes wrong meanwhile

/** As logrotate does. */
async function rotateAudit(): Promise<void> {
  const file = join(folder, 'audit.jsonl');
  while (await after(2_000)) {
    renameSync(file, `${file}.1`);
    scene.daemon.child.kill('SIGHUP');
  }
}

async function breakConfiguration(): Promise<void> {
  const file = join(folder, 'secrets.yaml');
  const good = readFileSync(file);
  while (await after(5_000)) {
    writeFileSync(file, 'refs: {}\n');
    scene.daemon.child.kill('SIGHUP');
    await after(500);
    writeFileSync(file, good);
    scene.daemon.child.kill('SIGHUP');
  }
}

async function killAgents(): Promise<void> {
  if (user === undefined) return;
  while (await after(5_000)) {
    for (const { pid: agent, name } of processesWith('HOME', user.environment.HOME)) {
      if (name === 'gpg-agent') process.kill(agent, 'SIGKILL');
    }
  }
}

/** False when it is time to stop. */
async function after(milliseconds: number): Promise<boolean> {
  const until = performance.now() + milliseconds;
  while (!stopped() && performance.now() < until) await sleep(Math.min(SAMPLE_MS, until - performance.now()));
  return !stopped();
}

// --- what is seen of it

async function watch(): Promise<void> {
  let told = 0;
  do {
    const row: Row = {
      minute: elapsed(),
      requests: requests(),
      residentBytes: residentBytes(pid),
      descriptors: descriptorsOf(pid),
      processes: childrenOf(pid).length,
    };
    rows.push(row);
    if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${lineOf(row)} of ${minutes}`);
    else if (elapsed() * ROWS >= told * minutes) {
      console.log(lineOf(row));
      told += 1;
    }
  } while (await after(SAMPLE_MS));
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
}

function requests(): number {
  return Object.values(scene.answers).reduce((sum, count) => sum + count, 0);
}

function lineOf({ minute, requests, residentBytes, descriptors, processes }: Row): string {
  const megabytes = Math.round(residentBytes / 1024 / 1024);
  return `${requests} requests, ${megabytes} MB resident, ${descriptors} descriptors, ${processes} processes, minute ${minute.toFixed(2)}`;
}

function tell(): void {
  const step = Math.max(1, Math.floor(rows.length / ROWS));
  const shown = rows.filter((_, index) => index % step === step - 1);
  console.log('\nminute  requests  resident MB  descriptors  processes');
  for (const { minute, requests, residentBytes, descriptors, processes } of shown) {
    const cells = [requests, Math.round(residentBytes / 1024 / 1024), descriptors, processes];
    const widths = [10, 13, 13, 11];
    console.log(minute.toFixed(2).padStart(6) + cells.map((cell, at) => String(cell).padStart(widths[at]!)).join(''));
  }
  console.log('\nanswers');
  for (const [what, count] of Object.entries(scene.answers)) console.log(`${String(count).padStart(8)}  ${what}`);
  if (grown(rows) === undefined) console.log('\ntoo short to say whether it grows');
  for (const failure of failures) console.log(`\nFAIL  ${failure}`);
  if (failures.length > 0) return;
  const told = grown(rows) === undefined ? '' : 'nothing grew, and ';
  console.log(`\nok: in ${elapsed().toFixed(1)} minutes ${told}nothing was left behind`);
  report('soak', { minutes, requests: requests(), answers: scene.answers, rows: shown });
}
