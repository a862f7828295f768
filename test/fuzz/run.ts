// Holds the rules of the contract against cases made up at random. MXM_FUZZ_CASES sets how many, MXM_FUZZ_SEED which.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { ask } from '../support/http_client.js';
import { startDaemonProcess } from '../support/process.js';
import { childrenOf, descriptorsOf } from '../support/process_table.js';
import { report } from '../support/report.js';
import type { Ending } from '../support/temporary.js';
import { until } from '../support/until.js';
import { configurationProperties } from './configuration.js';
import type { Property } from './property.js';
import { ALLOWED, DENIED, requestProperties } from './requests.js';

const DEFAULT_CASES = 105_000;

const cases = wholeNumber('MXM_FUZZ_CASES') ?? DEFAULT_CASES;
const seed = wholeNumber('MXM_FUZZ_SEED') ?? randomInt(0x7fff_ffff);
console.log(
  `seed ${seed}, ${cases} cases: MXM_FUZZ_SEED=${seed} MXM_FUZZ_CASES=${cases} npm run test:fuzz does the same again`,
);

const teardowns: (() => unknown)[] = [];
const t: Ending = { teardown: (callback) => void teardowns.push(callback) };

const values = Object.entries({ ...ALLOWED, ...DENIED });
const daemon = await startDaemonProcess(t, {
  secrets: `
stores:
  local: { backend: env, root: mxm/fuzz }
refs:
${values.map(([name]) => `  ${name}: { store: local, path: ${name}, policy: ${Object.hasOwn(ALLOWED, name) ? 'open' : 'closed'} }`).join('\n')}
policies:
  open: { allowed_principals: [marketdata] }
  closed: { allowed_principals: [somebody_else] }
`,
  launch: 'log: { audit_file: /dev/null }\n',
  env: Object.fromEntries(values.map(([name, value]) => [`MXM_FUZZ_${name.toUpperCase()}`, value])),
});
const pid = daemon.child.pid!;
const descriptors = descriptorsOf(pid);

const answers: Record<string, number> = {};
const configurations: Record<string, number> = {};
const countIn = (tally: Record<string, number>) => (what: string) => (tally[what] = (tally[what] ?? 0) + 1);
const properties = [
  ...configurationProperties(t, countIn(configurations)),
  ...requestProperties(daemon.socket, countIn(answers)),
];

const begun = performance.now();
const failures: string[] = [];
let done = 0;

async function hold({ name, share, check }: Property): Promise<void> {
  const count = Math.ceil(cases * share);
  const wrong = await check(seed, count);
  done += count;
  console.log(`${wrong === undefined ? 'ok  ' : 'FAIL'}  ${name}: ${count} cases`);
  if (wrong !== undefined) failures.push(`${name}\n${wrong}`);
}

// Those over the socket wait for the daemon: meanwhile there is time for the configuration.
await Promise.all(properties.map(hold));

const wrongInTheEnd = await theDaemonIsWell().catch((error: unknown) => String(error));
if (wrongInTheEnd !== undefined) failures.push(wrongInTheEnd);
const seconds = Math.round((performance.now() - begun) / 1_000);
console.log(`${done} cases in ${seconds} s: ${tell(answers)}; configurations ${tell(configurations)}`);
for (const failure of failures) console.log(`\nFAIL  ${failure}`);
if (failures.length === 0) report('fuzz', { seed, cases: done, seconds, answers, configurations });

for (const teardown of teardowns.reverse()) await teardown();
process.exit(failures.length === 0 ? 0 : 1);

/** It lives, has said nothing of a defect, serves, and has kept no connection and no process. */
async function theDaemonIsWell(): Promise<undefined> {
  assert.deepEqual([daemon.child.exitCode, daemon.child.signalCode, daemon.stderr()], [null, null, '']);
  assert.deepEqual(
    daemon.log().filter(({ event }) => event === 'defect'),
    [],
  );
  assert.equal((await ask(daemon.socket, '/secrets/api_key')).json['value'], ALLOWED.api_key);
  await until(() => descriptorsOf(pid) <= descriptors + properties.length && childrenOf(pid).length === 0);
  return undefined;
}

function tell(tally: Record<string, number>): string {
  return Object.entries(tally)
    .sort(([, a], [, b]) => b - a)
    .map(([what, count]) => `${what} × ${count}`)
    .join(', ');
}

function wholeNumber(variable: string): number | undefined {
  const text = process.env[variable] ?? '';
  if (text === '') return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${variable} has to be a whole number`);
  return Number(text);
}
