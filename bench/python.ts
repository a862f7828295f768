import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ROOT } from '../test/support/markdown.js';
import { onPath, realGopass, realGpg, skipWithout } from '../test/support/real_component.js';
import { temporaryFolder } from '../test/support/temporary.js';
import type { Bench, Results, Surroundings } from './bench.js';
import { serveGopass } from './gopass.js';
import { requestFor, startCallers, startedHow } from './load.js';
import { versionOf } from './machine.js';
import { cpuMs } from './process_cost.js';
import { type Contender, costs, inTurn, p50s, p99, roundOf } from './rounds.js';
import { ratioOf, spreadOf, tell } from './statistics.js';

const PACKAGE = 'mxm-secrets';
const VERSION = '0.3.2';
/** The oldest Python that the package is for. */
const MINOR = 13;
const VENV = join(ROOT, '.ci/cache/bench-python');
const SCRIPT = fileURLToPath(new URL('read_in_python.py', import.meta.url));

export const pythonBench: Bench = {
  name: 'python',
  title: 'mxm-secrets: the Python package',
  missing: () => skipWithout(realGopass(), realGpg()),
  run,
};

async function run(surroundings: Surroundings): Promise<Results> {
  const { t, pace, progress } = surroundings;
  progress('python: installing the package');
  const python = await pythonWithPackage();
  if ('missing' in python) return { tables: [], targets: [], notes: [`Not measured: ${python.missing}.`] };

  const { store, daemon, name, show, configuration } = await serveGopass(surroundings);
  const programs = temporaryFolder(t);
  symlinkSync(store.gopass, join(programs, 'gopass')); // the package takes that of the PATH
  const environment = { ...store.environment, PATH: `${programs}:${store.environment.PATH}` };
  const reader = (...args: readonly string[]): Contender['measure'] => {
    const callers = startCallers(t, environment, [python.file, '-B', SCRIPT, ...args]);
    return (ms) => callers.start({ ms, commands: [[name]] });
  };
  const callers = startCallers(t, environment);
  const direct: Contender = { name: '`gopass show`', measure: (ms) => callers.start({ ms, commands: [show] }) };
  const contenders: Contender[] = [
    direct,
    { name: `\`${PACKAGE}\` in Python`, measure: reader('package', JSON.stringify(configuration)) },
    {
      name: 'mxm-secretsd, asked from Python',
      measure: reader('client', daemon.socket),
    },
    {
      name: 'mxm-secretsd, asked directly',
      measure: (ms) => callers.load({ socket: daemon.socket, ms, requests: [requestFor(`/secrets/${name}`)] }),
      cpuMs: () => cpuMs(daemon.pid),
    },
  ];
  for (const contender of contenders) await contender.measure(pace.warmUpMs / 2);
  let round = 0;
  const measured = await inTurn(pace.rounds, contenders, (contender) => {
    progress(`python: round ${1 + Math.floor(round++ / contenders.length)}`);
    return roundOf(contender, pace.commandMs / 2);
  });
  const limit = measured.get(direct) ?? [];
  return {
    tables: [
      {
        header: ['read by', 'p50 in ms', 'of `gopass show`', 'p99 in ms', 'CPU a read in ms'],
        rows: [...measured].map(([{ name: by }, rounds]) => [
          by,
          tell(spreadOf(p50s(rounds))),
          rounds === limit ? '1' : tell(ratioOf(p50s(rounds), p50s(limit))),
          tell(p99(rounds)),
          by.includes('from Python') ? '–' : tell(spreadOf(costs(rounds))),
        ]),
      },
    ],
    targets: [],
    notes: [
      `${PACKAGE} ${VERSION} on ${versionOf(python.file)}, in one process that reads the same entry of the same gopass store again and again with \`SecretsApi.get_secret\`. It starts \`gopass show\` itself. Beside it the daemon, asked from a like process with \`clients/python/mxm_secretsd.py\` and by the callers of the other benches, and the command, started with ${startedHow()}.`,
    ],
  };
}

/** A Python with the package, in a folder that is kept. */
async function pythonWithPackage(): Promise<{ file: string } | { missing: string }> {
  const file = join(VENV, 'bin/python');
  if (hasPackage(file)) return { file };
  const base = findPython();
  if (base === undefined) {
    return { missing: `the package needs Python 3.${MINOR}, which is not there: name one with \`MXM_BENCH_PYTHON\`` };
  }
  try {
    mkdirSync(VENV, { recursive: true });
    await promisify(execFile)(base, ['-m', 'venv', '--clear', VENV]);
    await promisify(execFile)(file, ['-m', 'pip', 'install', '--quiet', `${PACKAGE}==${VERSION}`]);
  } catch {
    return { missing: `\`pip install ${PACKAGE}==${VERSION}\` fails` };
  }
  return hasPackage(file) ? { file } : { missing: `${PACKAGE} ${VERSION} cannot be imported` };
}

function hasPackage(python: string): boolean {
  return spawnSync(python, ['-c', 'import mxm.secrets'], { stdio: 'ignore' }).status === 0;
}

/** Of those that may be there, one that runs and is new enough. */
function findPython(): string | undefined {
  const named = process.env['MXM_BENCH_PYTHON'];
  const pyenv = join(homedir(), '.pyenv/versions');
  const candidates = [
    ...(named === undefined ? [] : [named]),
    ...['python3.14', 'python3.13', 'python3'].flatMap((program) => onPath(program) ?? []),
    ...(existsSync(pyenv) ? readdirSync(pyenv) : []).map((version) => join(pyenv, version, 'bin/python3')),
  ];
  const isNew = `import sys; sys.exit(not (3, ${MINOR}) <= sys.version_info < (3, 15))`;
  return candidates.find((file) => spawnSync(file, ['-c', isNew], { stdio: 'ignore' }).status === 0);
}
