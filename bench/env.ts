import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Results, Surroundings, Target } from './bench.js';
import { fileSystem } from './machine.js';
import { requestFor, startCallers } from './load.js';
import { cumulative } from './plot.js';
import { cpuMs } from './process_cost.js';
import { allLatencies, type Contender, costs, inTurn, p50s, p99, rates, type Round, roundOf } from './rounds.js';
import {
  auditRecords,
  mustAnswerAlike,
  recordAnswers,
  serveBare,
  type Served,
  serveDaemon,
  type ServedDaemon,
} from './served.js';
import { ratioOf, spreadOf, tell } from './statistics.js';

const SECRETS = `stores: { demo: { backend: env, root: mxm/bench } }
refs:
  greeting: { store: demo, path: greeting, policy: open }
  master_key: { store: demo, path: master_key, policy: closed }
policies: { open: { allowed_principals: [marketdata] }, closed: { allowed_principals: [] } }
`;

const ENVIRONMENT = { MXM_BENCH_GREETING: 'hello from mxm-secretsd', MXM_BENCH_MASTER_KEY: 'unseen' };

const ASKED = [
  { what: 'an allowed secret', target: '/secrets/greeting', status: 200 },
  { what: 'a denied secret', target: '/secrets/master_key', status: 403 },
] as const;

const CALLERS = [1, 16] as const;

/** What services that start do: some of them ask once each, after a while in which nobody did. */
const BURST = { ...ASKED[0], callers: 4, fresh: true } as const;

const BURST_MS = 60;

const HEADER = [
  'callers',
  'connections',
  'server',
  'requests/s',
  'of bare Fastify',
  'p50 in ms',
  'of bare `node:http`',
  'p99 in ms',
  'CPU a request in ms',
] as const;

const DAEMON = 'mxm-secretsd';
const FASTIFY = 'bare Fastify';
const HTTP = 'bare `node:http`';

/** A daemon with one secret in its environment and one that is denied. */
export function serveEnvironment(surroundings: Surroundings): Promise<ServedDaemon> {
  return serveDaemon(surroundings.t, { secrets: SECRETS, env: ENVIRONMENT });
}

export const ENV_CONFIGURATION = { secrets: SECRETS, env: ENVIRONMENT, target: ASKED[0].target } as const;

interface Scenario {
  readonly what: string;
  readonly target: string;
  readonly status: number;
  readonly callers: number;
  readonly fresh: boolean;
}

type Measured = Map<string, readonly Round[]>;

export const envBench: Bench = {
  name: 'env',
  title: 'Environment: the daemon itself',
  missing: () => false,
  run,
};

async function run(surroundings: Surroundings): Promise<Results> {
  const { t, pace, progress } = surroundings;
  const daemon = await serveEnvironment(surroundings);
  const answers = await recordAnswers(
    t,
    daemon,
    ASKED.map(({ target }) => target),
  );
  const servers = new Map<string, Served>([
    [DAEMON, daemon],
    [FASTIFY, await serveBare(t, 'bare_fastify.js', answers)],
    [HTTP, await serveBare(t, 'bare_http.js', answers)],
  ]);
  for (const { target } of ASKED) {
    for (const served of servers.values()) await mustAnswerAlike(served, daemon, target);
  }
  const callers = startCallers(t);
  let answered = auditRecords(daemon);

  const contendersOf = ({ target, status, callers: count, fresh }: Scenario): Contender[] =>
    [...servers].map(([name, { socket, pid }]) => ({
      name,
      async measure(ms) {
        const sample = await callers.load({
          socket,
          callers: count,
          fresh,
          ms,
          status,
          requests: [requestFor(target)],
        });
        if (name === DAEMON) answered += sample.latencies.length;
        return sample;
      },
      cpuMs: () => cpuMs(pid),
    }));

  const scenarios = ASKED.flatMap((asked) =>
    [false, true].flatMap((fresh) => CALLERS.map((count) => ({ ...asked, fresh, callers: count }))),
  );
  // What a server does again and again is compiled meanwhile: this one is asked for days.
  const warmUpMs = 2 * pace.warmUpMs;
  for (const { what, target, status } of ASKED) {
    progress(`env: warming up, ${what}`);
    for (const contender of contendersOf({ what, target, status, callers: 16, fresh: false }))
      await contender.measure(warmUpMs);
  }
  const measured = new Map<Scenario, Measured>();
  for (const scenario of scenarios) {
    progress(`env: ${nameOf(scenario)}`);
    const contenders = contendersOf(scenario);
    for (const contender of contenders) await contender.measure(pace.warmUpMs / scenario.callers);
    measured.set(
      scenario,
      byName(await inTurn(pace.rounds, contenders, (contender) => roundOf(contender, pace.roundMs))),
    );
  }

  const bursts = await afterPauses(surroundings, contendersOf(BURST));

  const busiest = { ...ASKED[0], callers: 16, fresh: false };
  const [, curves] = [...measured].find(([scenario]) => isSame(scenario, busiest)) ?? [];
  const records = auditRecords(daemon);
  return {
    tables: [
      {
        header: ['asked for', ...HEADER],
        rows: [...measured].flatMap(([scenario, of]) =>
          [...of].map(([name, rounds]) => rowOf(scenario, of, name, rounds)),
        ),
      },
      {
        caption: `Again for ${BURST_MS} ms each, after ${pace.pauseMs / 1_000} s in which nothing was asked: V8 gives back memory meanwhile, and the code that it has optimized.`,
        header: ['asked for after a pause', ...HEADER],
        rows: [...bursts].map(([name, rounds]) => rowOf(BURST, bursts, name, rounds)),
      },
    ],
    plots: [
      {
        name: 'env',
        plot: {
          title: 'A secret of the environment: 16 callers, connections kept',
          x: { label: 'latency in ms', scale: 'log' },
          y: { label: 'answered within, in %', scale: 'linear' },
          series: [...(curves ?? [])].map(([name, rounds]) =>
            cumulative(name.replaceAll('`', ''), allLatencies(rounds)),
          ),
        },
      },
    ],
    targets: targetsOf(measured),
    notes: [
      `A secret of an \`env\` store, so that all of the time is the daemon's own, and one that is denied. Beside it a route of Fastify and a server of \`node:http\` that do nothing but send the same answer, byte by byte but for the date and the id. All three run on this Node, at a Unix socket. The callers are one process with prepared requests that looks at the status and the length of each answer.`,
      `Before it is measured each server has answered 16 callers for ${warmUpMs / 1_000} s with the secret and for as long with the refusal, so that its code is compiled, and before each row its callers for up to ${pace.warmUpMs / 1_000} s more.`,
      `The daemon's stdout, with its audit records, goes to a file on ${fileSystem()}. ${records} records were written for ${answered} answers.`,
    ],
  };
}

async function afterPauses({ pace, progress }: Surroundings, contenders: readonly Contender[]): Promise<Measured> {
  for (const contender of contenders) await contender.measure(pace.warmUpMs);
  let turn = 0;
  const rounds = await inTurn(pace.pauses, contenders, async (contender) => {
    if (turn % contenders.length === 0) {
      progress(`env: after a pause, ${1 + turn / contenders.length} of ${pace.pauses}`);
      await sleep(pace.pauseMs);
    }
    turn += 1;
    return roundOf(contender, BURST_MS);
  });
  return byName(rounds);
}

function byName(rounds: ReadonlyMap<Contender, readonly Round[]>): Measured {
  return new Map([...rounds].map(([{ name }, of]) => [name, of]));
}

function isSame(one: Scenario, other: Scenario): boolean {
  return nameOf(one) === nameOf(other);
}

function nameOf({ what, callers, fresh }: Scenario): string {
  return `${what}, callers: ${callers}, connections: ${fresh ? 'one each' : 'kept'}`;
}

function rowOf({ what, callers, fresh }: Scenario, of: Measured, name: string, rounds: readonly Round[]): string[] {
  const limit = (of: readonly Round[] | undefined, figures: (rounds: readonly Round[]) => number[]): string =>
    of === undefined || of === rounds ? '1' : tell(ratioOf(figures(rounds), figures(of)));
  return [
    what,
    String(callers),
    fresh ? 'one each' : 'kept',
    name,
    tell(spreadOf(rates(rounds))),
    limit(of.get(FASTIFY), rates),
    tell(spreadOf(p50s(rounds))),
    limit(of.get(HTTP), p50s),
    tell(p99(rounds)),
    tell(spreadOf(costs(rounds))),
  ];
}

function targetsOf(measured: ReadonlyMap<Scenario, Measured>): Target[] {
  const [allowed] = ASKED;
  const roundsOf = (scenario: Scenario, name: string): readonly Round[] =>
    [...measured].find(([other]) => isSame(other, scenario))?.[1].get(name) ?? [];
  const rate = (callers: number) => {
    const scenario = { ...allowed, callers, fresh: false };
    return ratioOf(rates(roundsOf(scenario, DAEMON)), rates(roundsOf(scenario, FASTIFY)));
  };
  const delay = (callers: number) => {
    const scenario = { ...allowed, callers, fresh: true };
    return ratioOf(p50s(roundsOf(scenario, DAEMON)), p50s(roundsOf(scenario, HTTP)));
  };
  return [
    {
      target:
        'secrets of the environment, 16 callers: at least 0.75 × the requests/s of bare Fastify, each audit record written before its answer',
      figure: `${tell(rate(16))}; one caller ${tell(rate(1))}`,
      met: rate(16).median >= 0.75,
    },
    {
      target: 'the same with a connection each: p50 at most 1.3 × that of bare `node:http`',
      figure: `${tell(delay(1))}; 16 callers ${tell(delay(16))}`,
      met: delay(1).median <= 1.3,
    },
  ];
}
