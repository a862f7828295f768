import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { activate } from '../test/support/activation.js';
import { writeConfiguration } from '../test/support/process.js';
import { childrenOf } from '../test/support/process_table.js';
import { realPython } from '../test/support/python_peer.js';
import { temporaryFolder } from '../test/support/temporary.js';
import { until } from '../test/support/until.js';
import type { Bench, Results, Surroundings, Table, Target } from './bench.js';
import { ENV_CONFIGURATION, serveEnvironment } from './env.js';
import { askedHowOften, type Callers, requestFor, startCallers } from './load.js';
import { memoryOf } from './process_cost.js';
import { bareCommand, daemonCommand, recordAnswers } from './served.js';
import { digits, ratioOf, type Spread, spreadOf, tell } from './statistics.js';

const START_TIMEOUT_MS = 30_000;
/** After the first answer, before the memory is looked at: what the start has left to do is done. */
const SETTLED_MS = 500;
const SAMPLE_MS = 50;
const LOAD_CALLERS = 16;
const START_TARGET_MS = 300;
const IDLE_TARGET_MB = 58;

const REQUEST = requestFor(ENV_CONFIGURATION.target);

export const startBench: Bench = { name: 'start', title: 'Start, memory, and an idle role', missing: () => false, run };

/** A server that is started again and again. */
interface Starter {
  readonly name: string;
  readonly ms: number[];
  readonly memory: { readonly rss: number; readonly pss: number }[];
  start(): Promise<void>;
}

async function run(surroundings: Surroundings): Promise<Results> {
  const { pace, progress } = surroundings;
  const { t } = surroundings;
  const environment = { ...process.env, ...ENV_CONFIGURATION.env };
  const callers = startCallers(t, environment);
  const daemon = await serveEnvironment(surroundings);
  const answers = await recordAnswers(t, daemon, [ENV_CONFIGURATION.target]);
  await daemon.stop();

  const starts = starters(surroundings, callers, answers);
  const [ours, , fastify, nothing] = starts;
  for (let round = -1; round < pace.starts; round += 1) {
    progress(`start: ${round + 1} of ${pace.starts}`);
    for (const starter of starts) await starter.start();
    // The first time files are not in the memory of the system yet.
    if (round === -1) starts.forEach(({ ms, memory }) => (ms.length = memory.length = 0));
  }
  progress('start: memory after requests and under load');
  const used = await memoryInUse(surroundings, callers);
  progress('start: an idle role');
  const idle = await idleRole(surroundings);

  const start = spreadOf(ours.ms);
  const resident = spreadOf(ours.memory.map(({ rss }) => megabytes(rss)));
  const node20 = `on Node ${process.versions.node}`;
  const targets: Target[] = [
    {
      target: `from exec to the first answer: at most ${START_TARGET_MS / 1_000} s`,
      figure: `${tell(seconds(start))} s ${node20}, and ${tell(ratioOf(ours.ms, nothing.ms))} × as long as \`node -e 0\``,
      met: start.median <= START_TARGET_MS,
    },
    {
      target: `resident memory at rest: at most ${IDLE_TARGET_MB} MB`,
      figure: `${tell(resident)} MB ${node20}`,
      met: resident.median <= IDLE_TARGET_MB,
    },
    idle.target,
  ];
  return {
    tables: [
      {
        caption: 'Started again and again, in turn.',
        header: [
          'started',
          'from exec to the first answer, or to the end, in ms',
          'of bare Fastify',
          'resident at rest in MB',
          'its own share (Pss) in MB',
        ],
        rows: starts.map(({ name, ms, memory }) => [
          name,
          tell(spreadOf(ms)),
          ms === fastify.ms ? '1' : tell(ratioOf(ms, fastify.ms)),
          ...(memory.length === 0
            ? ['–', '–']
            : [tellMegabytes(memory.map(({ rss }) => rss)), tellMegabytes(memory.map(({ pss }) => pss))]),
        ]),
      },
      used,
      ...idle.tables,
    ],
    targets,
    notes: [
      `A server is asked ${askedHowOften()} from its exec on until it answers, the daemon for a secret of the environment; \`node -e 0\` is started and waited for. ${pace.starts} starts of each, after one that does not count. Memory is read ${SETTLED_MS / 1_000} s after the first answer; a MB is a million bytes.`,
      'What V8 compiled of the daemon when it was built is used for a start with the same Node and the same options. With other ones, as an option that means nothing shows here, it is compiled anew.',
      'Resident are also the pages of the files of Node that a process has looked at. When it has started, the daemon lets go of them, as most have served the start alone, and they come back as they are needed: hence it is smaller than a bare server. The system keeps them as long as it has room.',
    ],
  };
}

function starters({ t }: Surroundings, callers: Callers, answers: string): [Starter, Starter, Starter, Starter] {
  const configured = writeConfiguration(t, ENV_CONFIGURATION);
  const folder = temporaryFolder(t);
  const fastifySocket = join(folder, 's.sock');
  const server = (name: string, socket: string, command: readonly string[]): Starter => {
    const ms: number[] = [];
    const memory: Starter['memory'] = [];
    return {
      name,
      ms,
      memory,
      async start() {
        rmSync(socket, { force: true }); // a server that a signal ends leaves it
        const started = await callers.first({
          socket,
          request: REQUEST,
          timeoutMs: START_TIMEOUT_MS,
          output: join(folder, 'output'),
          command,
        });
        if (started === 'late') throw new Error(`${name} does not answer`);
        ms.push(started.ms);
        await sleep(SETTLED_MS);
        memory.push(memoryOf(started.pid));
        await callers.end(started.pid);
      },
    };
  };
  const daemon = (name: string, ...options: readonly string[]): Starter => {
    const [node = '', ...program] = daemonCommand();
    return server(name, configured.socket, [node, ...options, ...program, 'serve', '--launch', configured.launchFile]);
  };
  const nothing: Starter = {
    name: '`node -e 0`',
    ms: [],
    memory: [],
    async start() {
      const { latencies } = await callers.start({ ms: 0, commands: [[process.execPath, '-e', '0']] });
      nothing.ms.push(...latencies);
    },
  };
  return [
    daemon('mxm-secretsd'),
    daemon('mxm-secretsd, compiled anew', '--stack-trace-limit=20'),
    server('bare Fastify', fastifySocket, bareCommand('bare_fastify.js', fastifySocket, answers)),
    nothing,
  ];
}

async function memoryInUse(surroundings: Surroundings, callers: Callers): Promise<Table> {
  const { pace } = surroundings;
  const { socket, pid } = await serveEnvironment(surroundings);
  await sleep(SETTLED_MS);
  const atRest = memoryOf(pid);
  const under: { rss: number; pss: number }[] = [];
  let answered = 0;
  while (answered < pace.requests) {
    const load = callers.load({ socket, callers: LOAD_CALLERS, ms: 1_000, requests: [REQUEST] });
    const stop = new AbortController();
    const watched = watch(pid, under, stop.signal);
    answered += (await load).latencies.length;
    stop.abort();
    await watched;
  }
  await sleep(SETTLED_MS);
  const after = memoryOf(pid);
  const row = (when: string, ...of: readonly { rss: number; pss: number }[]): string[] => [
    when,
    tellMegabytes(of.map(({ rss }) => rss)),
    tellMegabytes(of.map(({ pss }) => pss)),
  ];
  return {
    caption: 'One daemon, whose memory is read while it is asked for a secret of the environment by 16 callers.',
    header: ['when', 'resident in MB', 'its own share (Pss) in MB'],
    rows: [
      row('at rest', atRest),
      row(`under load, every ${SAMPLE_MS} ms`, ...under),
      row(`${SETTLED_MS / 1_000} s after ${answered.toLocaleString('en-US')} requests`, after),
    ],
  };
}

async function watch(pid: number, seen: { rss: number; pss: number }[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(SAMPLE_MS);
    seen.push(memoryOf(pid));
  }
}

/** A socket that is held for a role whose daemon has left: what that costs, and what the next request waits for. */
async function idleRole({ t, pace }: Surroundings): Promise<{ tables: Table[]; target: Target }> {
  const wanted = 'an idle role under socket activation: no process';
  const missing = realPython().skip;
  if (missing !== false) {
    return {
      tables: [],
      target: { target: wanted, figure: `not measured: ${missing}, which holds the socket`, met: null },
    };
  }
  const { launchFile } = writeConfiguration(t, { ...ENV_CONFIGURATION, launch: 'idle_exit_s: 1\n' });
  const { pid, socket, events } = await activate(t, launchFile, ENV_CONFIGURATION.env, daemonCommand());
  const callers = startCallers(t);
  const first: number[] = [];
  const asked: number[] = [];
  const left: number[] = [];
  for (let round = 1; round <= Math.min(pace.rounds, 5); round += 1) {
    const { wallMs } = await callers.load({ socket, ms: 0, requests: [REQUEST] });
    first.push(wallMs);
    asked.push(childrenOf(pid).length);
    await until(() => events.filter((event) => event === 'ended 0').length === round);
    left.push(childrenOf(pid).length);
  }
  const most = Math.max(...left);
  return {
    tables: [
      {
        caption:
          'Socket activation with `idle_exit_s: 1`: a process that stands for the service manager holds the socket, and the daemon is started by a request and leaves when nothing more is asked for.',
        header: ['processes when asked', 'processes when it has left', 'first answer after that in ms'],
        rows: [[String(Math.max(...asked)), String(most), tell(spreadOf(first))]],
      },
    ],
    target: {
      target: wanted,
      figure: `${most}, and the next answer takes ${tell(seconds(spreadOf(first)))} s`,
      met: most === 0,
    },
  };
}

function megabytes(bytes: number): number {
  return bytes / 1e6;
}

function tellMegabytes(bytes: readonly number[]): string {
  return bytes.length === 0 ? digits(NaN) : tell(spreadOf(bytes.map(megabytes)));
}

function seconds({ median, lower, upper }: Spread): Spread {
  return { median: median / 1_000, lower: lower / 1_000, upper: upper / 1_000 };
}
