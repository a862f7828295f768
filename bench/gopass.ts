import { renameSync, symlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fakeGopass } from '../test/support/fake_gopass.js';
import { createGopassStore, type GopassStore } from '../test/support/gopass_store.js';
import { ask } from '../test/support/http_client.js';
import { onPath, realGopass, realGpg, skipWithout } from '../test/support/real_component.js';
import { type Ending, temporaryFolder } from '../test/support/temporary.js';
import type { Bench, Results, Surroundings, Table, Target } from './bench.js';
import { type Callers, requestFor, startCallers, startedHow } from './load.js';
import { cumulative, type Plot } from './plot.js';
import { cpuMs } from './process_cost.js';
import { allLatencies, type Contender, costs, inTurn, p50s, p99, rates, type Round, roundOf } from './rounds.js';
import { serveDaemon, type ServedDaemon } from './served.js';
import { median, ratioOf, type Spread, spreadOf, tell } from './statistics.js';

const CALLERS = [1, 2, 4, 8, 16] as const;

/** Of how many callers the command is also measured as the daemon starts it: it explains, and no target is of it. */
const CALLERS_TOLD: readonly number[] = [1, 16];

/** A secret for each caller: those who ask for the same one share a call. */
const NAMES = Array.from({ length: Math.max(...CALLERS) }, (_, index) => `key_${index}`);

const ROOT = 'mxm/red';

/** As `mxm-secrets` takes it, too. */
const CONFIGURATION = {
  stores: { red: { backend: 'gopass', root: ROOT } },
  refs: Object.fromEntries(NAMES.map((name) => [name, { store: 'red', path: name, policy: 'open' }])),
  policies: { open: { allowed_principals: ['marketdata'] } },
};

/**
 * The callers of a daemon that becomes warm, how many times as long as in other benches each number of them goes on, and
 * how many programs in a row they are answered by.
 */
const WARMING = { callers: [1, NAMES.length, 1], times: 2, programs: 2 } as const;

/** Rounds are longer than elsewhere by it: in half a second each of 16 callers asks but twice. */
const LONGER = 2;

/** And of the numbers of callers there are more by it, as its target is of the least of several figures that are alike. */
const MORE = 1.6;

const DAEMON = 'mxm-secretsd';
const DIRECT = '`gopass show`';
const TOLD = '`gopass show` that is told where gpg is';

export const gopassBench: Bench = {
  name: 'gopass',
  title: 'gopass: beside the command itself',
  missing: () => skipWithout(realGopass(), realGpg()),
  run,
};

/** A store of gopass with an entry for each name, and a daemon over it. */
export async function serveGopass({ t }: Surroundings) {
  const store = createStore(t);
  const [name] = NAMES as [string];
  const daemon = await serveStore(t, store, store.gopass);
  return { store, daemon, name, show: showCommand(store.gopass, name), configuration: CONFIGURATION };
}

function createStore(t: Ending): GopassStore {
  const store = createGopassStore(t);
  for (const name of NAMES) store.insert(`${ROOT}/${name}`, `value of ${name}\n`);
  return store;
}

/** `launch`: further sections of its launch file, as YAML. */
function serveStore(t: Ending, { environment: env }: GopassStore, binary: string, launch = ''): Promise<ServedDaemon> {
  const secrets = { ...CONFIGURATION, stores: { red: { ...CONFIGURATION.stores.red, binary } } };
  return serveDaemon(t, { secrets: JSON.stringify(secrets), env, launch });
}

/**
 * A daemon that has become warm. What it does is compiled as it is done again and again, which takes far more requests
 * than gopass answers in a minute, and anew when it is done otherwise than before: so with one caller and with all, of
 * the store that is measured, and beyond a change of the program. Meanwhile scripts stand in for gopass, and say what
 * gopass says.
 */
async function serveWarm(
  { t, pace }: Surroundings,
  store: GopassStore,
  callers: Callers,
  launch = '',
): Promise<ServedDaemon> {
  const folder = temporaryFolder(t);
  const binary = join(folder, 'gopass');
  const replaceBy = (program: string): void => {
    const next = join(folder, 'next');
    symlinkSync(program, next);
    renameSync(next, binary);
  };
  replaceBy(standIn(t, store));
  const daemon = await serveStore(t, store, binary, launch);
  const requests = NAMES.map((name) => requestFor(`/secrets/${name}`));
  for (let programs = 0; programs < WARMING.programs; programs += 1) {
    replaceBy(standIn(t, store));
    for (const count of WARMING.callers) {
      await callers.load({ socket: daemon.socket, callers: count, ms: WARMING.times * pace.warmUpMs, requests });
    }
  }
  replaceBy(store.gopass);
  return daemon;
}

/** Says, in no time, what gopass and gpg say of an entry when the daemon asks. */
function standIn(t: Ending, store: GopassStore): string {
  const [name] = NAMES as [string];
  const [, ...args] = showCommand(store.gopass, name);
  const { status, stdout, stderr } = store.run(args, { GOPASS_GPG_OPTS: '--batch --status-fd=2' });
  if (status !== 0) throw new Error(`gopass show: ${stderr}`);
  const print = (text: string): string => `printf %s '${text.replaceAll("'", "'\\''")}'`;
  return fakeGopass(t, `${print(stderr)} >&3\n${print(stdout.toString())}`).file;
}

function showCommand(gopass: string, name: string): string[] {
  return [gopass, 'show', '-n', '--', `${ROOT}/${name}`];
}

interface Level {
  readonly callers: number;
  readonly daemon: readonly Round[];
  readonly direct: readonly Round[];
  readonly told: readonly Round[];
}

async function run(surroundings: Surroundings): Promise<Results> {
  const { t, pace, progress } = surroundings;
  const store = createStore(t);
  const callers = startCallers(t, store.environment);
  const toldCallers = startCallers(t, { ...store.environment, GOPASS_GPG_BINARY: onPath('gpg') });
  const requests = NAMES.map((name) => requestFor(`/secrets/${name}`));
  const commands = NAMES.map((name) => showCommand(store.gopass, name));
  progress('gopass: warming up');
  const daemon = await serveWarm(surroundings, store, callers);
  const everyContender = CALLERS.flatMap((count): (Contender & { callers: number })[] => [
    {
      name: DAEMON,
      callers: count,
      measure: (ms) => callers.load({ socket: daemon.socket, callers: count, ms, requests }),
      cpuMs: () => cpuMs(daemon.pid),
    },
    { name: DIRECT, callers: count, measure: (ms) => callers.start({ callers: count, ms, commands }) },
    { name: TOLD, callers: count, measure: (ms) => toldCallers.start({ callers: count, ms, commands }) },
  ]);
  const contenders = everyContender.filter(({ name, callers: count }) => name !== TOLD || CALLERS_TOLD.includes(count));
  for (const contender of contenders.slice(0, 3)) await contender.measure(pace.warmUpMs);
  let round = 0;
  const more = { ...pace, rounds: Math.ceil(MORE * pace.rounds) };
  const measured = await inLongerTurns(more, contenders, ({ name, callers: count }) => {
    progress(
      `gopass: ${name.replaceAll('`', '')}, callers: ${count}, round ${1 + Math.floor(round++ / contenders.length)}`,
    );
  });
  const levels = CALLERS.map((count): Level => {
    const of = (wanted: string): readonly Round[] =>
      [...measured].find(([{ name, callers }]) => name === wanted && callers === count)?.[1] ?? [];
    return { callers: count, daemon: of(DAEMON), direct: of(DIRECT), told: of(TOLD) };
  });
  progress('gopass: more backend calls at once');
  const wider = await moreAtOnce(surroundings, store, callers, commands);
  progress('gopass: identical requests');
  const shared = await identicalRequests(callers, daemon, pace.rounds);

  return {
    tables: [
      {
        header: [
          'callers',
          'by',
          'reads/s',
          'ratio',
          'p50 in ms',
          'ratio',
          'p99 in ms',
          'CPU a read in ms',
          'ratio',
          'reads',
        ],
        rows: levels.flatMap(({ callers: count, daemon: ours, direct, told }) => [
          [String(count), DAEMON, ...cells(ours, direct)],
          [String(count), DIRECT, ...cells(direct, direct)],
          ...(told.length > 0 ? [[String(count), TOLD, ...cells(told, direct)]] : []),
        ]),
      },
      wider.table,
      {
        caption: 'The same secret for all: 16 requests at once, on connections of their own.',
        header: ['requests', 'backend calls', 'until the last answer in ms'],
        rows: [['16', countsOf(shared.calls), tell(spreadOf(shared.ms))]],
      },
    ],
    plots: [1, 16].map((count) => ({
      name: `gopass-${count}`,
      plot: distribution(
        count,
        levels.find(({ callers: of }) => of === count),
      ),
    })),
    targets: targetsOf(levels, wider, shared.calls),
    notes: [
      `A \`GET\` over the socket, on kept connections, beside \`gopass show -n -- ENTRY\` of the same entries, as a user would start it. The daemon runs the same, and tells gopass by a variable where gpg is, which it would start gpgconf for each time: to see what that is worth the command is started so, too. Commands are started with ${startedHow()} by a process that lives on, their output read through a pipe; the key has no passphrase. Each caller has a secret of its own. The daemon runs as many gopass at once as there are cores.`,
      `Before it is measured a daemon has answered requests for ${(WARMING.programs * WARMING.callers.length * WARMING.times * pace.warmUpMs) / 1_000} s, of one caller and of all, with a script in the place of gopass that says what gopass says, and another one after a while, so that its own code is compiled, as it is after the first minutes of its life.`,
      'Among numbers of callers that are alike the most is the luckiest, and the least the unluckiest: for the target half of the rounds choose the numbers that are compared, and the other half are compared.',
      'CPU is that of the daemon and its children, and on the other side of the process that starts the commands and its children. gpg-agent, which serves all, is in none.',
    ],
  };
}

function inLongerTurns<T extends Contender>(
  { rounds, commandMs }: Surroundings['pace'],
  contenders: readonly T[],
  begins: (contender: T) => void,
): Promise<Map<T, Round[]>> {
  return inTurn(rounds, contenders, (contender) => {
    begins(contender);
    return roundOf(contender, LONGER * commandMs);
  });
}

function cells(rounds: readonly Round[], limit: readonly Round[]): string[] {
  const ratio = (figures: (of: readonly Round[]) => number[]): string =>
    rounds === limit ? '1' : tell(ratioOf(figures(rounds), figures(limit)));
  return [
    tell(spreadOf(rates(rounds))),
    ratio(rates),
    tell(spreadOf(p50s(rounds))),
    ratio(p50s),
    tell(p99(rounds)),
    tell(spreadOf(costs(rounds))),
    ratio(costs),
    String(rounds.reduce((sum, { latencies }) => sum + latencies.length, 0)),
  ];
}

interface Wider {
  readonly table: Table;
  /** The most backend calls at once, and what they give to all callers, of what the command gives to as many. */
  readonly atOnce: number;
  readonly callers: number;
  readonly ratio: Spread;
}

/** What `limits.backend_concurrency` is worth when all of them ask. */
async function moreAtOnce(
  surroundings: Surroundings,
  store: GopassStore,
  callers: Callers,
  commands: readonly string[][],
): Promise<Wider> {
  const { pace } = surroundings;
  const cores = availableParallelism();
  const requests = NAMES.map((name) => requestFor(`/secrets/${name}`));
  const contenders: Contender[] = [];
  for (const atOnce of [cores, cores + 1, 2 * cores]) {
    const daemon = await serveWarm(surroundings, store, callers, `limits: { backend_concurrency: ${atOnce} }\n`);
    contenders.push({
      name: String(atOnce),
      measure: (ms) => callers.load({ socket: daemon.socket, callers: requests.length, ms, requests }),
    });
  }
  contenders.push({ name: DIRECT, measure: (ms) => callers.start({ callers: commands.length, ms, commands }) });
  for (const contender of contenders) await contender.measure(pace.warmUpMs);
  const measured = [...(await inLongerTurns(pace, contenders, () => undefined))];
  const rounds = measured.map(([, of]) => rates(of)) as [number[], ...number[][]];
  const [[least], widest, direct] = [rounds, rounds.at(-2) ?? [], rounds.at(-1) ?? []];
  return {
    atOnce: 2 * cores,
    callers: requests.length,
    ratio: ratioOf(widest, direct),
    table: {
      caption: `${requests.length} callers, each with a secret of its own, and \`limits.backend_concurrency\`, which is ${cores} here by default.`,
      header: ['backend calls at once', 'reads/s', 'of those of the default', 'of `gopass show`'],
      rows: measured.map(([{ name }], index) => {
        const own = rounds[index] ?? [];
        const of = (others: number[]): string => (own === others ? '1' : tell(ratioOf(own, others)));
        return [name, tell(spreadOf(own)), of(least), of(direct)];
      }),
    },
  };
}

/** How many backend calls 16 callers cost who ask for one secret at the same time. */
async function identicalRequests(callers: Callers, { socket }: ServedDaemon, times: number) {
  const calls: number[] = [];
  const ms: number[] = [];
  for (let time = 0; time < times; time += 1) {
    const before = await backendCalls(socket);
    const { wallMs } = await callers.load({ socket, callers: 16, ms: 0, requests: [requestFor('/secrets/key_0')] });
    calls.push((await backendCalls(socket)) - before);
    ms.push(wallMs);
  }
  return { calls, ms };
}

async function backendCalls(socket: string): Promise<number> {
  const { text } = await ask(socket, '/metrics');
  const counts = text.matchAll(/^mxm_secretsd_backend_duration_seconds_count\{[^}]*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Those that came about: `1`, or `1, 2`. */
function countsOf(calls: readonly number[]): string {
  return [...new Set(calls)].sort((a, b) => a - b).join(', ');
}

function distribution(count: number, level: Level | undefined): Plot {
  return {
    title: `A secret of gopass: ${count === 1 ? 'one caller' : `${count} callers`}`,
    x: { label: 'latency in ms', scale: 'log' },
    y: { label: 'answered within, in %', scale: 'linear' },
    series: [
      cumulative('mxm-secretsd', allLatencies(level?.daemon ?? [])),
      cumulative('gopass show, by itself', allLatencies(level?.direct ?? [])),
    ],
  };
}

function targetsOf(levels: readonly Level[], wider: Wider, calls: readonly number[]): Target[] {
  const [alone] = levels as [Level, ...Level[]];
  const p50 = ratioOf(p50s(alone.daemon), p50s(alone.direct));
  const least = ratioOfChosen(levels, leastBesideFewer);
  return [
    {
      target: 'gopass, one caller: p50 at most 1.10 × that of `gopass show`',
      figure: tell(p50),
      met: p50.median <= 1.1,
    },
    {
      target:
        'gopass, any number of callers: at least 0.95 × the most reads/s that `gopass show` gives to as many or fewer',
      figure: `${tell(least)} where it is least; the most of the daemon ${tell(ratioOfChosen(levels, mostBesideMost))} × the most of the command, and ${tell(ratioOfChosen(levels, mostBesideCores))} × what that gives to ${availableParallelism()}, as many as the daemon starts at once by default; with ${wider.atOnce} backend calls at once and ${wider.callers} callers ${tell(wider.ratio)} × what it gives to ${wider.callers}`,
      met: least.median >= 0.95,
    },
    {
      target: 'gopass, 16 identical requests at once: one backend call',
      figure: countsOf(calls),
      met: calls.every((count) => count === 1),
    },
  ];
}

/** The numbers of callers at which the daemon and the command are compared. */
interface Compared {
  readonly daemon: number;
  readonly direct: number;
}

/**
 * Of several that are alike the most is the luckiest, and the least the unluckiest: so one half of the rounds chooses
 * what is compared, and the other half is compared. Each second round goes backwards: as many of those are in both.
 */
function ratioOfChosen(levels: readonly Level[], choose: (levels: readonly Level[]) => Compared): Spread {
  const ofHalf = (half: readonly number[]): Level[] => {
    const those = (rounds: readonly Round[]): Round[] => rounds.filter((_, round) => half.includes(round % 4));
    return levels.map((level) => ({ ...level, daemon: those(level.daemon), direct: those(level.direct) }));
  };
  const ratesOf = (half: readonly Level[], { daemon, direct }: Compared) => {
    const at = (count: number): Level => half.find(({ callers }) => callers === count) as Level;
    return { ours: rates(at(daemon).daemon), theirs: rates(at(direct).direct) };
  };
  const [one, other] = [ofHalf([0, 3]), ofHalf([1, 2])];
  const [a, b] = [ratesOf(one, choose(other)), ratesOf(other, choose(one))];
  return ratioOf([...a.ours, ...b.ours], [...a.theirs, ...b.theirs]);
}

/** Beside the number of callers, as many or fewer, at which the command is at its best. */
function leastBesideFewer(levels: readonly Level[]): Compared {
  const pairs = levels.map(({ callers, daemon }) => {
    const direct = mostOf(
      levels.filter((other) => other.callers <= callers),
      'direct',
    );
    return { daemon: callers, direct: direct.callers, ratio: medianRate(daemon) / medianRate(direct.direct) };
  });
  return pairs.reduce((least, pair) => (pair.ratio < least.ratio ? pair : least));
}

function mostBesideMost(levels: readonly Level[]): Compared {
  return { daemon: mostOf(levels, 'daemon').callers, direct: mostOf(levels, 'direct').callers };
}

/** More of them than there are cores fill each other's pauses. */
function mostBesideCores(levels: readonly Level[]): Compared {
  const upToCores = levels.filter(({ callers }) => callers <= availableParallelism());
  return { daemon: mostOf(levels, 'daemon').callers, direct: Math.max(...upToCores.map(({ callers }) => callers)) };
}

function mostOf(levels: readonly Level[], whose: 'daemon' | 'direct'): Level {
  return levels.reduce((most, level) => (medianRate(level[whose]) > medianRate(most[whose]) ? level : most));
}

function medianRate(rounds: readonly Round[]): number {
  return median(rates(rounds));
}
