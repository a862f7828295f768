import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { type CommandEnd, runCommand } from '../../src/backends/command.js';
import { variablesIn } from '../support/environment.js';
import { CANARY, fakeProgram } from '../support/fake_gopass.js';
import { NODE } from '../support/node.js';
import { isRunning } from '../support/process_table.js';
import { watchBuffers } from '../support/retained.js';
import { type Ending, temporaryFolder } from '../support/temporary.js';
import { until } from '../support/until.js';

const PATH = process.env['PATH'] ?? '';

/** Runs a module out of an argument, from whatever folder. */
const MODULE = [...NODE, '--input-type=module'];

interface Options {
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  readonly maxStdoutBytes?: number;
  readonly proves?: (status: Buffer) => boolean;
  readonly signal?: AbortSignal;
}

function run(file: string, options: Options = {}): Promise<CommandEnd> {
  const { args = [], env = { PATH }, maxStdoutBytes = 65_536, signal = new AbortController().signal } = options;
  const { proves } = options;
  return runCommand({ file, args, env, maxStdoutBytes, ...(proves && { proves }), signal });
}

function sh(script: string, options: Options = {}): Promise<CommandEnd> {
  return run('/bin/sh', { ...options, args: ['-c', script, 'sh', ...(options.args ?? [])] });
}

function stdoutOf(ended: CommandEnd): string {
  return ended.end === 'succeeded' ? ended.stdout.toString('latin1') : ended.end;
}

function saidBy(ended: CommandEnd): { stderr: string; status: string } | undefined {
  return ended.end === 'failed' ? { stderr: ended.stderr.toString(), status: ended.status.toString() } : undefined;
}

t.test('gives all that a program printed when it ends well', async (t) => {
  t.equal(stdoutOf(await sh('printf "a\\nb  \\r\\n\\n"')), 'a\nb  \r\n\n');
  t.equal(stdoutOf(await sh('true')), '');
});

t.test('gives what a program said, and nothing else, when it fails', async (t) => {
  const ended = await sh('echo out; echo err >&2; exit 7');
  t.match(ended, { end: 'failed', exitCode: 7 });
  t.same(saidBy(ended), { stderr: 'err\n', status: '' });
  t.same(Object.keys(ended).sort(), ['end', 'exitCode', 'status', 'stderr']);
});

t.test('a program that has something to prove has a descriptor 3 for that, and no other has', async (t) => {
  const script = '[ -e /proc/self/fd/3 ] && echo status >&3; echo err >&2; exit 7';
  t.same(saidBy(await sh(script, { proves: () => true })), { stderr: 'err\n', status: 'status\n' });
  t.same(saidBy(await sh(script)), { stderr: 'err\n', status: '' });
});

t.test('gives what a program printed only where its status proves it, when that is asked for', async (t) => {
  const asked: string[] = [];
  const proves = (status: Buffer): boolean => asked.push(status.toString()) > 0 && status.includes('proof');
  t.equal(stdoutOf(await sh('echo out; echo proof >&3', { proves })), 'out\n');
  t.same(await sh('echo out; echo else >&3', { proves }), { end: 'unproven' });
  t.same(await sh('echo out; echo proof >&2', { proves }), { end: 'unproven' });
  t.match(await sh('echo out; echo proof >&3; exit 3', { proves }), { end: 'failed', exitCode: 3 });
  t.same(asked, ['proof\n', 'else\n', '']);
  const tooMuch = 'echo proof >&3; head -c 2000000 /dev/zero >&3';
  t.same(await sh(tooMuch, { proves }), { end: 'unproven' }, 'what is not all of it proves nothing');
});

t.test('a status of many pieces comes whole, however long the program runs', async (t) => {
  const asked: number[] = [];
  const proves = (status: Buffer): boolean => asked.push(status.length) > 0;
  t.equal(stdoutOf(await sh('head -c 300000 /dev/zero >&3; sleep 0.3; head -c 60000 /dev/zero >&3', { proves })), '');
  t.same(asked, [360_000]);
});

t.test('who holds the status open when the program has ended is not waited for', async (t) => {
  const parent = fakeProgram(
    t,
    'parent',
    'outside sleep 1000 >&- 2>&- & note $!; until_outside; echo proof >&3; echo value',
  );
  t.equal(stdoutOf(await run(parent.file, { proves: (status) => status.includes('proof') })), 'value\n');
  const [escaped] = await parent.noted(1);
  t.ok(isRunning(escaped!));
});

t.test('reads no more than 1 MiB of what a program says', async (t) => {
  const ended = await sh('head -c 2000000 /dev/zero >&2; head -c 2000000 /dev/zero >&3; exit 1', {
    proves: () => true,
  });
  const { stderr = '', status = '' } = saidBy(ended) ?? {};
  t.same([stderr.length, status.length], [1_048_576, 1_048_576]);
});

t.test('passes the arguments on as they are, whatever they look like', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: 'binary' }).filter((arg) => !arg.includes('\0'))), async (args) => {
      const wanted = Buffer.from(args.map((arg) => `${arg}\n`).join(''));
      return stdoutOf(await sh('[ $# = 0 ] || printf "%s\\n" "$@"', { args })) === wanted.toString('latin1');
    }),
    { numRuns: 30 },
  ),
);

t.test('the child has this environment and nothing of the process', async (t) => {
  process.env['MXM_TEST_INHERITED'] = 'yes';
  t.teardown(() => delete process.env['MXM_TEST_INHERITED']);
  const ended = await run('/usr/bin/env', { args: ['-0'], env: { ONLY: 'this' } });
  t.same(variablesIn(stdoutOf(ended)), ['ONLY=this']);
});

t.test('the child has nothing to read and works in /', async (t) => {
  t.equal(stdoutOf(await sh('readlink /proc/self/fd/0; pwd; cat | wc -c')), '/dev/null\n/\n0\n');
});

t.test('the child leads a process group and a session of its own', async (t) => {
  // Of /proc/PID/stat: 1 the process, 5 its group, 6 its session.
  const [pid, , , , group, session] = stdoutOf(await sh('cat /proc/$$/stat')).split(' ');
  t.equal(group, pid);
  t.equal(session, pid);
});

t.test('output over the limit ends the group, and none of it is given', async (t) => {
  const folder = temporaryFolder(t);
  const endless = fakeProgram(t, 'endless', 'note $$; yes', folder);
  t.same(await run(endless.file), { end: 'too_large' });
  const [pid] = await endless.noted(1);
  t.notOk(isRunning(pid!));
});

t.test('output of just the limit is given', async (t) => {
  t.equal(stdoutOf(await sh('printf 1234', { maxStdoutBytes: 4 })), '1234');
  t.equal(stdoutOf(await sh('printf 12345', { maxStdoutBytes: 4 })), 'too_large');
});

t.test('a limit of 0 throws the output away', async (t) => {
  t.same(await sh('head -c 1000000 /dev/zero', { maxStdoutBytes: 0 }), { end: 'succeeded', stdout: Buffer.alloc(0) });
});

t.test('output of any size comes whole', () =>
  fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 300_000 }), async (size) => {
      const text = stdoutOf(await sh(`head -c ${size} /dev/zero`, { maxStdoutBytes: 300_000 }));
      return text === '\0'.repeat(size);
    }),
    { numRuns: 10, examples: [[0], [1], [4096], [4097], [65_536], [65_537], [300_000]] },
  ),
);

t.test('a program that was ended by a signal is told from one that failed', async (t) => {
  t.same(await sh('echo out; echo err >&2; kill -SEGV $$'), { end: 'killed_by_signal' });
});

t.test('a program that is not there is told from one that cannot be started', async (t) => {
  const folder = temporaryFolder(t);
  t.same(await run(join(folder, 'absent')), { end: 'missing' });
  t.same(await run(folder), { end: 'cannot_start' });
  t.same(await run('/bin/true', { args: ['x'.repeat(3_000_000)] }), { end: 'cannot_start' }, 'arguments too long');
  t.same(await run('/bin/true', { args: ['a\0b'] }), { end: 'cannot_start' }, 'a NUL in an argument');
});

t.test('a process without a free file descriptor is told so, and lives on', async (t) => {
  const source = `
    import { closeSync, openSync } from 'node:fs';
    import { runCommand } from '${new URL('../../src/backends/command.ts', import.meta.url).href}';
    const run = async () => {
      const { signal } = new AbortController();
      const { end } = await runCommand({ file: '/bin/true', args: [], env: {}, maxStdoutBytes: 0, signal });
      return end;
    };
    const taken = [];
    try { for (;;) taken.push(openSync('/dev/null')); } catch {}
    const ends = new Set();
    for (; taken.length > 0 && ends.size < 2; closeSync(taken.pop())) ends.add(await run());
    console.log([...ends].join());
  `;
  const ended = await sh('ulimit -n 64; exec "$@"', { args: [...MODULE, '--eval', source] });
  t.equal(stdoutOf(ended), 'cannot_start,succeeded\n');
});

t.test('an aborted signal starts nothing', async (t) => {
  const folder = temporaryFolder(t);
  const mark = join(folder, 'started');
  t.same(await run('/bin/sh', { args: ['-c', `>${mark}`], signal: AbortSignal.abort() }), { end: 'aborted' });
  t.notOk(existsSync(mark));
});

t.test('an abort ends the program and its descendants, and settles when they are gone', async (t) => {
  const family = fakeProgram(
    t,
    'family',
    "trap '' TERM INT; note $$; (sleep 1000 & note $!; wait) & note $!; wait; wait",
  );
  const controller = new AbortController();
  const running = run(family.file, { signal: controller.signal });
  const pids = await family.noted(3);
  t.same(pids.map(isRunning), [true, true, true]);
  controller.abort();
  t.same(await running, { end: 'aborted' });
  t.same(pids.map(isRunning), [false, false, false]);
});

t.test('a program that ends well takes the children that it leaves behind with it', async (t) => {
  const parent = fakeProgram(t, 'parent', 'sleep 1000 & note $!; echo value');
  t.equal(stdoutOf(await run(parent.file)), 'value\n');
  const [pid] = await parent.noted(1);
  t.notOk(isRunning(pid!));
});

t.test('a process that left the group and holds the output open is waited for until the abort only', async (t) => {
  const parent = fakeProgram(t, 'parent', 'outside sleep 1000 & note $!; until_outside; echo value; note $$');
  const controller = new AbortController();
  const running = run(parent.file, { signal: controller.signal });
  const [escaped, leader] = await parent.noted(2);
  await until(() => !isRunning(leader!));
  controller.abort();
  t.same(await running, { end: 'aborted' });
  t.ok(isRunning(escaped!), 'who left the group is nobody to be killed');
});

t.test('a zombie that nobody waits for holds the end up for a bounded time', async (t) => {
  // The inner shell becomes a process of another session, and one that never waits for its child.
  const parent = fakeProgram(t, 'parent', '(sleep 1000 & note $!; outside sleep 1000) & until_outside; note $!; wait');
  const controller = new AbortController();
  const running = run(parent.file, { signal: controller.signal });
  const pids = await parent.noted(2);
  controller.abort();
  t.same(await running, { end: 'aborted' });
  t.same(pids.map(isRunning), [false, true]);
});

t.test('an abort after the end changes nothing', async (t) => {
  const controller = new AbortController();
  const ended = await sh('echo value', { signal: controller.signal });
  controller.abort();
  t.equal(stdoutOf(ended), 'value\n');
});

t.test('no end leaves a Buffer with output behind, but for those that are given', async (t) => {
  const secret = `printf '%s%s' ${CANARY.slice(0, 9)} ${CANARY.slice(9)}`;
  const lots = `yes "$(${secret})" | head -c 200000`;
  const cases: [string, string, number][] = [
    ['succeeded', `${lots}; ${lots} >&2; ${lots} >&3`, 1],
    ['unproven', `${lots}; ${lots} >&2; ${lots} >&3`, 0],
    ['failed', `${lots}; ${lots} >&2; ${lots} >&3; exit 1`, 2],
    ['killed_by_signal', `${lots}; ${lots} >&2; ${lots} >&3; kill -KILL $$`, 0],
    ['too_large', `${lots} >&2; ${lots} >&3; ${lots}; ${lots}`, 0],
    ['aborted', `${lots}; ${lots} >&2; ${lots} >&3; note $$; sleep 1000`, 0],
  ];
  for (const [end, script, given] of cases) {
    await t.test(end, async (t) => {
      const buffers = watchBuffers(t);
      const program = fakeProgram(t, 'program', script);
      const controller = new AbortController();
      const { signal } = controller;
      const proves = (): boolean => end !== 'unproven';
      const running = run(program.file, { maxStdoutBytes: 250_000, proves, signal });
      if (end === 'aborted') {
        await program.noted(1);
        controller.abort();
      }
      const ended = await running;
      t.equal(ended.end, end);
      t.ok(buffers.seen() > 2);
      t.equal(buffers.retaining(CANARY), given);
    });
  }
});

t.test('a program for whose output there is no memory is ended, and what it has printed is wiped', async (t) => {
  const secret = `printf '%s%s' ${CANARY.slice(0, 9)} ${CANARY.slice(9)}`;
  for (const [stream, where] of [
    ['stdout', ''],
    ['stderr', '>&2'],
    ['status', '>&3'],
  ] as const) {
    await t.test(stream, async (t) => {
      const buffers = watchBuffers(t);
      refuseMemory(t, 100_000);
      const program = fakeProgram(t, 'program', `note $$; (yes "$(${secret})" | head -c 200000) ${where}; sleep 1000`);
      t.same(await run(program.file, { maxStdoutBytes: 1_000_000, proves: () => true }), { end: 'no_memory' });
      const [pid] = await program.noted(1);
      t.notOk(isRunning(pid!));
      t.ok(buffers.seen() > 2);
      t.equal(buffers.retaining(CANARY), 0);
    });
  }
});

/** From now on nobody gets more bytes than these in one piece, as where a process has reached its limit. */
function refuseMemory(t: Ending, above: number): void {
  const { ArrayBuffer: real } = globalThis;
  globalThis.ArrayBuffer = class extends real {
    constructor(length: number) {
      if (length > above) throw new RangeError('Array buffer allocation failed');
      super(length);
    }
  } as ArrayBufferConstructor;
  t.teardown(() => (globalThis.ArrayBuffer = real));
}

t.test('NODE_DEBUG, which makes libraries print what they run, prints nothing of a program', async (t) => {
  const source = `
    import { runCommand } from '${new URL('../../src/backends/command.ts', import.meta.url).href}';
    const { signal } = new AbortController();
    await runCommand({ file: '/bin/echo', args: ['${CANARY}'], env: {}, maxStdoutBytes: 100, signal });
  `;
  const ended = await sh('"$@" 2>&1', {
    args: [...MODULE, '--eval', source],
    env: { PATH, NODE_DEBUG: 'execa,cross-spawn' },
  });
  t.equal(ended.end, 'succeeded');
  t.notMatch(stdoutOf(ended), CANARY);
});

t.test('an abort while the program is being started ends it', async (t) => {
  const controller = new AbortController();
  const ending = sh('echo started; exec sleep 1000', { signal: controller.signal });
  controller.abort();
  t.same(await ending, { end: 'aborted' });
});
