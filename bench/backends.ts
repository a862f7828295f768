import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createAgeStore } from '../test/support/age_store.js';
import { createGopassStore, type GopassStore } from '../test/support/gopass_store.js';
import { realKvServer, startKvServer } from '../test/support/kv_server.js';
import { ROOT } from '../test/support/markdown.js';
import { realAge, realGopass, realGpg, skipWithout } from '../test/support/real_component.js';
import { type Ending, temporaryFolder, writeFile } from '../test/support/temporary.js';
import type { Bench, Results, Surroundings, Target } from './bench.js';
import { type Callers, requestFor, startCallers, startedHow } from './load.js';
import { versionOf } from './machine.js';
import { cpuMs } from './process_cost.js';
import { type Contender, costs, inTurn, p50s, p99, rates, type Round, roundOf } from './rounds.js';
import { readAgain } from './read_again.js';
import { serveBare, serveDaemon, type Served } from './served.js';
import { ratioOf, type Spread, spreadOf, tell } from './statistics.js';

const VALUE = 'db-12345\n';
const IN_STORE = 'mxm/red/entry';
const DAEMON = 'mxm-secretsd';
const ON_NODE_24 = 'mxm-secretsd on Node 24';

export const backendsBench: Bench = {
  name: 'backends',
  title: 'The other backends: each beside its limit',
  missing: () => skipWithout(realGopass(), realGpg(), realAge()),
  run,
};

/** One way to read from a store, and the name of that which it is compared with. */
interface Way extends Contender {
  readonly store: string;
  readonly limit?: string;
  /** Commands take long: their rounds are longer. */
  readonly isSlow?: boolean;
}

/** The parts that the daemons of this bench read. */
interface Stores {
  readonly gpg: GopassStore;
  readonly age: Awaited<ReturnType<typeof createAgeStore>>;
  readonly folder: string;
  /** The lines of the openbao store of the secrets file; empty where there is no server. */
  readonly openbao: string;
}

async function run(surroundings: Surroundings): Promise<Results> {
  const { t, pace, progress } = surroundings;
  progress('backends: preparing stores');
  const gpg = createGopassStore(t);
  gpg.insert(IN_STORE, VALUE);
  const age = await createAgeStore(t);
  const ageFile = await age.insert('entry', VALUE);
  const folder = temporaryFolder(t);
  writeFile(folder, 'entry', VALUE);
  const kv = await openbao(t);
  const stores: Stores = { gpg, age, folder, openbao: kv === undefined ? '' : kv.store };
  const daemon = await serveStores(t, stores);
  const callers = startCallers(t, gpg.environment);
  const files = await serveBare(t, 'bare_files.js', folder);
  const node24 = findNode24();
  const newer = node24 === undefined ? undefined : await serveStores(t, stores, node24);

  const ways: Way[] = [
    {
      ...command(callers, '`gpg --decrypt`', [
        'gpg',
        '--batch',
        '--quiet',
        '--decrypt',
        join(gpg.folder, `${IN_STORE}.gpg`),
      ]),
      store: 'pass',
    },
    { ...reading(callers, 'pass', daemon), limit: '`gpg --decrypt`', isSlow: true },
    { ...command(callers, '`gopass show`', [gpg.gopass, 'show', '-n', '--', IN_STORE]), store: 'age' },
    { ...command(callers, '`age --decrypt`', ['age', '--decrypt', '-i', age.identityFile, ageFile]), store: 'age' },
    { ...reading(callers, 'age', daemon), limit: '`age --decrypt`' },
    ...(newer === undefined ? [] : [{ ...reading(callers, 'age', newer, ON_NODE_24), limit: '`age --decrypt`' }]),
    { name: '`readFile` in a process of Node', store: 'file', measure: (ms) => readAgain(join(folder, 'entry'), ms) },
    { ...asked(callers, 'bare `node:http` with `readFile`', files, '/entry'), store: 'file' },
    { ...reading(callers, 'file', daemon), limit: 'bare `node:http` with `readFile`' },
    ...(kv === undefined
      ? []
      : [kv.direct(callers), { ...reading(callers, 'openbao', daemon), limit: kv.direct(callers).name }]),
  ];
  for (const way of ways) {
    progress(`backends: warming up, ${way.store}`);
    await way.measure(way.isSlow === true ? pace.commandMs / 4 : 4 * pace.warmUpMs);
  }
  let round = 0;
  const measured = await inTurn(pace.rounds, ways, (way) => {
    progress(`backends: ${way.store}, round ${1 + Math.floor(round++ / ways.length)}`);
    return roundOf(way, way.isSlow === true ? pace.commandMs : pace.roundMs / 2);
  });
  const roundsOf = (store: string, name: string): readonly Round[] =>
    [...measured].find(([way]) => way.store === store && way.name === name)?.[1] ?? [];

  return {
    tables: [
      {
        header: [
          'store',
          'read by',
          'p50 in ms',
          'ratio to its limit',
          'limit',
          'p99 in ms',
          'reads/s',
          'CPU a read in ms',
        ],
        rows: [...measured].map(([{ store, name, limit }, rounds]) => [
          store,
          name,
          tell(spreadOf(p50s(rounds))),
          limit === undefined ? '' : tell(ratioOf(p50s(rounds), p50s(roundsOf(store, limit)))),
          limit ?? '',
          tell(p99(rounds)),
          tell(spreadOf(rates(rounds))),
          tell(spreadOf(costs(rounds))),
        ]),
      },
    ],
    targets: targetsOf(roundsOf, node24),
    notes: [
      `One caller that reads one small entry again and again: of the daemon by \`GET\` on a kept connection, and of its limit directly. Commands are started with ${startedHow()}. The key of gpg has no passphrase, and gpg-agent, which works for all of them, is in no CPU figure. \`gopass show\` stands beside \`age\` for the targets alone: it reads the entry of the gpg store.`,
      `${node24 === undefined ? 'Node 24 was not measured: name one with `MXM_BENCH_NODE24=/path/to/node`' : `Node 24 is ${versionOf(node24)}`}.${kv === undefined ? ` openbao was not measured: ${kvMissing()}.` : ' The server of `openbao` is the core of Vault 1.14.1 at a Unix socket, asked directly on a kept connection.'}`,
    ],
  };
}

function serveStores(t: Ending, { gpg, age, folder, openbao: lines }: Stores, node?: string) {
  return serveDaemon(t, {
    secrets: `stores:
  pass: { backend: pass, root: ${gpg.folder}/mxm/red }
  age: { backend: age, root: ${age.folder}, identity_file: ${age.identityFile} }
  file: { backend: file, root: ${folder} }
${lines}
refs:
${['pass', 'age', 'file', ...(lines === '' ? [] : ['openbao'])].map((name) => `  ${name}: { store: ${name}, path: entry, policy: open }`).join('\n')}
policies: { open: { allowed_principals: [marketdata] } }
`,
    env: gpg.environment,
    ...(node !== undefined && { node }),
  });
}

/** The daemon, asked for the entry of a store. */
function reading(callers: Callers, store: string, served: Served, name = DAEMON): Way {
  return { ...asked(callers, name, served, `/secrets/${store}`), store };
}

function asked(callers: Callers, name: string, { socket, pid }: Served, target: string): Contender {
  return {
    name,
    measure: (ms) => callers.load({ socket, ms, requests: [requestFor(target)] }),
    cpuMs: () => cpuMs(pid),
  };
}

function command(callers: Callers, name: string, line: readonly string[]): Contender & { isSlow: true } {
  return { name, isSlow: true, measure: (ms) => callers.start({ ms, commands: [line] }) };
}

function kvMissing(): string | false {
  const { file, skip } = realKvServer();
  return skip === false && !existsSync(file) ? `${file} is not there` : skip;
}

/** A server with the entry, and a store over it. */
async function openbao(t: Ending) {
  if (kvMissing() !== false) return undefined;
  const server = await startKvServer(t, { unix: true });
  await server.write('mxm/entry', { value: VALUE });
  await server.allow('reader', 'mxm/entry');
  const token = await server.createToken({ policies: ['reader'] });
  const tokenFile = writeFile(temporaryFolder(t), 'token', token);
  const socket = server.address.slice('unix:'.length);
  const request = requestFor('/v1/secret/data/mxm/entry', { 'X-Vault-Token': token });
  return {
    store: `  openbao: { backend: openbao, root: mxm, address: "${server.address}", auth: { token_file: ${tokenFile} } }`,
    direct: (callers: Callers): Way => ({
      name: 'the KV server itself',
      store: 'openbao',
      measure: (ms) => callers.load({ socket, ms, requests: [request] }),
      cpuMs: () => cpuMs(server.child.pid ?? 0),
    }),
  };
}

/** Named, or as .ci/run installs it. */
function findNode24(): string | undefined {
  const named = process.env['MXM_BENCH_NODE24'];
  return [named ?? '', join(ROOT, '.ci/cache/node-24/node_modules/node/bin/node')].find((file) => existsSync(file));
}

function targetsOf(roundsOf: (store: string, name: string) => readonly Round[], node24: string | undefined): Target[] {
  const timesFaster = (name: string): Spread =>
    ratioOf(p50s(roundsOf('age', '`gopass show`')), p50s(roundsOf('age', name)));
  const pass = ratioOf(p50s(roundsOf('pass', DAEMON)), p50s(roundsOf('pass', '`gpg --decrypt`')));
  const age = timesFaster(DAEMON);
  const newer = timesFaster(ON_NODE_24);
  return [
    { target: 'pass: p50 at most 1.25 × that of `gpg --decrypt`', figure: tell(pass), met: pass.median <= 1.25 },
    {
      target: 'age on Node 20: at least 8 × faster than `gopass show`',
      figure: `${tell(age)} × on Node ${process.versions.node}`,
      met: age.median >= 8,
    },
    node24 === undefined
      ? {
          target: 'age on Node 24: at least 20 × faster than `gopass show`',
          figure: 'not measured: name a Node 24 with `MXM_BENCH_NODE24=/path/to/node`',
          met: null,
        }
      : {
          target: 'age on Node 24: at least 20 × faster than `gopass show`',
          figure: `${tell(newer)} × on Node ${versionOf(node24).slice(1)}`,
          met: newer.median >= 20,
        },
  ];
}
