import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeConfiguration } from '../test/support/process.js';
import { type Ending, temporaryFolder, writeFile } from '../test/support/temporary.js';
import type { Bench, NamedPlot, Results, Surroundings, Table, Target } from './bench.js';
import { type Callers, requestFor, startCallers } from './load.js';
import { memoryOf } from './process_cost.js';
import { readAgain } from './read_again.js';
import { type Contender, inTurn, p50s, roundOf } from './rounds.js';
import { daemonCommand, serveDaemon, type ServedDaemon } from './served.js';
import { digits, growthExponent, median, ratioOf, type Spread, spreadOf, tell } from './statistics.js';

const START_TIMEOUT_MS = 120_000;
/** Starts that take longer are not repeated. */
const REPEATED_BELOW_MS = 3_000;
const STARTS = 3;
const SETTLED_MS = 500;
const REFS = [10, 100, 1_000, 10_000, 100_000] as const;
const CONNECTIONS = [1, 10, 100, 1_000] as const;
const SIZES = [16, 1_024, 16_384, 262_144, 1_048_576] as const;
/** Those that ask for refs: the p50 of one alone depends more on the cores that the system puts it and the daemon on. */
const CALLERS = 16;
/** What a figure may differ by and be the same. */
const SAME = 1.15;
/** An exponent of 1 is linear. */
const LINEAR = 1.1;

const ENVIRONMENT = { MXM_BENCH_ASKED: 'hello from mxm-secretsd', MXM_BENCH_DENIED: 'unseen' };
const ALLOWED = { request: requestFor('/secrets/asked'), status: 200 } as const;
const DENIED = { request: requestFor('/secrets/denied'), status: 403 } as const;

export const growthBench: Bench = {
  name: 'growth',
  title: 'Growth: refs, connections, sizes',
  missing: () => false,
  run,
};

interface Part {
  readonly table: Table;
  readonly plots: readonly NamedPlot[];
  readonly targets?: readonly Target[];
}

async function run(surroundings: Surroundings): Promise<Results> {
  const parts = [
    await growthOfRefs(surroundings),
    await growthOfConnections(surroundings),
    await growthOfSizes(surroundings),
  ];
  return {
    tables: parts.map(({ table }) => table),
    plots: parts.flatMap(({ plots }) => plots),
    targets: parts.flatMap(({ targets = [] }) => targets),
    notes: [
      'One caller, where no other number is named, on a kept connection. All daemons of a table run at the same time and are asked in turn. Memory is read once of each.',
    ],
  };
}

// --- refs

/** Half of the refs are denied; the two that are asked for stand in the middle. */
export function secretsOf(count: number): string {
  const others = Array.from({ length: count - 2 }, (_, index) => {
    const policy = index % 2 === 0 ? 'open' : 'closed';
    return `  ref_${index}: { store: demo, path: group_${index % 100}/key_${index}, policy: ${policy} }`;
  });
  const middle = others.length >> 1;
  return `stores: { demo: { backend: env, root: mxm/bench } }
refs:
${others.slice(0, middle).join('\n')}
  asked: { store: demo, path: asked, policy: open }
  denied: { store: demo, path: denied, policy: closed }
${others.slice(middle).join('\n')}
policies: { open: { allowed_principals: [marketdata] }, closed: { allowed_principals: [] } }
`;
}

interface Sized {
  readonly refs: number;
  readonly socket: string;
  readonly startMs: readonly number[];
  readonly memory: { readonly rss: number; readonly pss: number };
}

async function growthOfRefs({ t, pace, progress }: Surroundings): Promise<Part> {
  const callers = startCallers(t, { ...process.env, ...ENVIRONMENT });
  const counts = REFS.filter((refs) => refs <= pace.refs);
  const daemons: Sized[] = [];
  for (const refs of counts) {
    progress(`growth: starts with ${refs.toLocaleString('en-US')} refs`);
    const daemon = await startSized(t, callers, refs);
    if (daemon === 'late') break; // those with more would be late, too
    daemons.push(daemon);
  }
  const kinds = [ALLOWED, DENIED];
  progress('growth: latency by the number of refs');
  const contenders = daemons.flatMap(({ refs, socket }) =>
    kinds.map((kind) => ({
      name: String(refs),
      refs,
      kind,
      measure: (ms: number) =>
        callers.load({ socket, callers: CALLERS, ms, status: kind.status, requests: [kind.request] }),
    })),
  );
  for (const contender of contenders) await contender.measure(pace.warmUpMs);
  const measured = await inTurn(pace.rounds, contenders, (contender) => roundOf(contender, pace.roundMs / 4));
  const p50 = (refs: number, kind: (typeof kinds)[number]): number[] =>
    p50s([...measured].find(([of]) => of.refs === refs && of.kind === kind)?.[1] ?? []);

  const late = counts.length > daemons.length;
  return {
    table: {
      caption: `Refs in the secrets file: ${STARTS} starts each, or one where a start takes more than ${REPEATED_BELOW_MS / 1_000} s; a start is given ${START_TIMEOUT_MS / 1_000} s. ${CALLERS} callers ask, as what one alone waits depends more on the cores that the system puts it and the daemon on.`,
      header: [
        'refs',
        'start in ms',
        'resident at rest in MB',
        'its own share (Pss) in MB',
        'p50 of an allowed name in ms',
        'p50 of a denied name in ms',
      ],
      rows: counts.map((refs) => {
        const daemon = daemons.find((of) => of.refs === refs);
        if (daemon === undefined)
          return [refs.toLocaleString('en-US'), `> ${START_TIMEOUT_MS.toLocaleString('en-US')}`, '–', '–', '–', '–'];
        return [
          refs.toLocaleString('en-US'),
          tell(spreadOf(daemon.startMs)),
          digits(daemon.memory.rss / 1e6),
          digits(daemon.memory.pss / 1e6),
          ...kinds.map((kind) => tell(spreadOf(p50(refs, kind)))),
        ];
      }),
    },
    plots: [
      {
        name: 'growth-refs',
        plot: {
          title: 'Start and memory by the number of refs',
          x: { label: 'refs in the secrets file', scale: 'log' },
          y: { label: 'start in ms, memory in MB', scale: 'log' },
          series: [
            { name: 'start', marked: true, points: daemons.map(({ refs, startMs }) => [refs, median(startMs)]) },
            {
              name: 'resident memory',
              marked: true,
              points: daemons.map(({ refs, memory }) => [refs, memory.rss / 1e6]),
            },
          ],
        },
      },
      {
        name: 'growth-refs-latency',
        plot: {
          title: 'Latency by the number of refs',
          x: { label: 'refs in the secrets file', scale: 'log' },
          y: { label: 'p50 in ms', scale: 'log' },
          series: kinds.map((kind) => ({
            name: kind === ALLOWED ? 'allowed name' : 'denied name',
            marked: true,
            points: daemons.map(({ refs }) => [refs, median(p50(refs, kind))] as const),
          })),
        },
      },
    ],
    targets: refTargets(daemons, late, (refs) => [p50(refs, ALLOWED), p50(refs, DENIED)]),
  };
}

async function startSized(t: Ending, callers: Callers, refs: number): Promise<Sized | 'late'> {
  const { folder, socket, launchFile } = writeConfiguration(t, { secrets: secretsOf(refs) });
  const command = [...daemonCommand(), 'serve', '--launch', launchFile];
  const startMs: number[] = [];
  for (;;) {
    const options = { socket, request: ALLOWED.request, output: join(folder, 'log.jsonl'), command };
    const started = await callers.first({ ...options, timeoutMs: START_TIMEOUT_MS });
    if (started === 'late') return 'late';
    startMs.push(started.ms);
    if (startMs.length < STARTS && started.ms < REPEATED_BELOW_MS) await callers.end(started.pid);
    else {
      t.teardown(() => callers.end(started.pid));
      await sleep(SETTLED_MS);
      return { refs, socket, startMs, memory: memoryOf(started.pid) };
    }
  }
}

/** What is above the least that a start takes and a daemon needs, by its growth over the last tenfold. */
function refTargets(
  daemons: readonly Sized[],
  late: boolean,
  figures: (refs: number) => [number[], number[]],
): Target[] {
  const [least, ...others] = daemons;
  const [before, most] = others.slice(-2);
  if (least === undefined || before === undefined || most === undefined) {
    return [
      {
        target: 'growth with the number of refs',
        figure: `not measured: no start within ${START_TIMEOUT_MS / 1_000} s`,
        met: null,
      },
    ];
  }
  const exponent = (of: (daemon: Sized) => number): number =>
    growthExponent([before.refs, of(before) - of(least)], [most.refs, of(most) - of(least)]);
  const start = exponent(({ startMs }) => median(startMs));
  const memory = exponent(({ memory: { rss } }) => rss);
  const [allowed, denied] = figures(most.refs).map((p50, kind) => ratioOf(p50, figures(least.refs)[kind as 0 | 1])) as [
    Spread,
    Spread,
  ];
  const many = most.refs.toLocaleString('en-US');
  return [
    {
      target: `refs: the latency does not grow (to at most ${SAME} × from ${least.refs} to ${many})`,
      figure: `${tell(allowed)} allowed, ${tell(denied)} denied`,
      met: Math.max(allowed.median, denied.median) <= SAME,
    },
    {
      target: `refs: start and memory grow linearly (exponent of what they add: at most ${LINEAR} up to ${REFS.at(-1)?.toLocaleString('en-US') ?? ''})`,
      figure: `start ${digits(start)}, memory ${digits(memory)}, up to ${many}${late ? `; with more, a start takes more than ${START_TIMEOUT_MS / 1_000} s` : ''}`,
      met: late ? false : most.refs < (REFS.at(-1) ?? 0) ? null : Math.max(start, memory) <= LINEAR,
    },
  ];
}

// --- connections

/** A daemon with so many open connections, one of which is that of the caller. */
interface Connected extends Contender {
  readonly open: number;
  readonly idle: readonly Socket[];
  readonly daemon: ServedDaemon;
}

async function growthOfConnections({ t, pace, progress }: Surroundings): Promise<Part> {
  const callers = startCallers(t);
  const contenders: Connected[] = [];
  for (const open of CONNECTIONS) {
    progress(`growth: ${open.toLocaleString('en-US')} connections`);
    const daemon = await serveDaemon(t, {
      secrets: secretsOf(2),
      env: ENVIRONMENT,
      launch: `limits: { connections: ${2 * CONNECTIONS[3]} }\n`,
    });
    const { socket } = daemon;
    const idle: Socket[] = [];
    while (idle.length < open - 1) {
      const some = Array.from({ length: Math.min(50, open - 1 - idle.length) }, () => openConnection(socket));
      idle.push(...(await Promise.all(some)));
    }
    const measure = (ms: number) => callers.load({ socket, ms, requests: [ALLOWED.request] });
    contenders.push({ name: String(open), measure, open, idle, daemon });
  }
  progress('growth: latency by the number of connections');
  for (const contender of contenders) await contender.measure(pace.warmUpMs);
  const measured = await inTurn(pace.rounds, contenders, (contender) => roundOf(contender, pace.roundMs / 2));
  const rows = [...measured].map(([{ open, daemon }, rounds]) => {
    return { open, p50: p50s(rounds), rss: memoryOf(daemon.pid).rss };
  });
  for (const { open, idle, daemon } of contenders) {
    // The daemon closes those on which nothing is asked for a minute.
    if (idle.some(({ destroyed }) => destroyed)) throw new Error(`not all of ${open} connections were open to the end`);
    idle.forEach((connection) => connection.destroy());
    await daemon.stop();
  }
  return {
    table: {
      caption: 'Connections: one of them asks, the others have asked once and stay. Each row is a daemon of its own.',
      header: ['connections', 'p50 in ms', 'resident after it in MB'],
      rows: rows.map(({ open, p50, rss }) => [open.toLocaleString('en-US'), tell(spreadOf(p50)), digits(rss / 1e6)]),
    },
    plots: [
      {
        name: 'growth-connections',
        plot: {
          title: 'Latency by the number of open connections',
          x: { label: 'open connections', scale: 'log' },
          y: { label: 'p50 in ms', scale: 'log' },
          series: [{ name: 'allowed name', marked: true, points: rows.map(({ open, p50 }) => [open, median(p50)]) }],
        },
      },
    ],
  };
}

/** One that has been answered once. */
async function openConnection(path: string): Promise<Socket> {
  const socket = connect(path);
  socket.on('error', () => undefined); // whether it was open to the end is looked at then
  socket.write(ALLOWED.request);
  await once(socket, 'data');
  return socket;
}

// --- sizes

async function growthOfSizes({ t, pace, progress }: Surroundings): Promise<Part> {
  const callers = startCallers(t);
  const folder = temporaryFolder(t);
  for (const size of SIZES) writeFile(folder, `size_${size}`, 'x'.repeat(size));
  const { socket } = await serveDaemon(t, {
    secrets: `stores: { files: { backend: file, root: ${folder} } }
refs:
${SIZES.map((size) => `  size_${size}: { store: files, path: size_${size}, policy: open }`).join('\n')}
policies: { open: { allowed_principals: [marketdata] } }
`,
  });
  const asked = (accept: string) => (size: number, ms: number) =>
    callers.load({ socket, ms, requests: [requestFor(`/secrets/size_${size}`, { Accept: accept })] });
  const ways = [
    { name: 'as JSON', measure: asked('application/json') },
    { name: 'as bytes', measure: asked('application/octet-stream') },
    {
      name: 'readFile in Node',
      measure: (size: number, ms: number) => readAgain(join(folder, `size_${size}`), ms),
    },
  ];
  const contenders = SIZES.flatMap((size) => ways.map((way) => ({ size, way })));
  await ways[0]?.measure(SIZES[0], pace.warmUpMs);
  progress('growth: latency by the size of the value');
  const measured = await inTurn(pace.rounds, contenders, ({ size, way }) => {
    return roundOf({ name: way.name, measure: (ms) => way.measure(size, ms) }, pace.roundMs / 4);
  });
  const p50 = (size: number, way: (typeof ways)[number]): number[] =>
    p50s([...measured].find(([of]) => of.size === size && of.way === way)?.[1] ?? []);
  return {
    table: {
      caption: 'Size of the value: the `file` backend, in ms (p50).',
      header: ['bytes', ...ways.map(({ name }) => name.replace('readFile', '`readFile`'))],
      rows: SIZES.map((size) => [size.toLocaleString('en-US'), ...ways.map((way) => tell(spreadOf(p50(size, way))))]),
    },
    plots: [
      {
        name: 'growth-sizes',
        plot: {
          title: 'Latency by the size of the value',
          x: { label: 'size in bytes', scale: 'log' },
          y: { label: 'p50 in ms', scale: 'log' },
          series: ways.map((way) => ({
            name: way.name,
            marked: true,
            points: SIZES.map((size) => [size, median(p50(size, way))] as const),
          })),
        },
      },
    ],
  };
}
