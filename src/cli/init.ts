import { closeSync, lstatSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LAUNCH_SCHEMA } from '../config/launch_config.js';
import { loadConfiguration } from '../config/load.js';
import { didYouMean } from '../config/problems.js';
import { check } from '../config/schema.js';
import { printable } from '../domain/printable.js';
import { MAX_SOCKET_PATH_BYTES } from '../domain/socket_path.js';
import { makeFolders } from '../os/folders.js';
import { describeSystemError } from '../os/system_error.js';
import { type OptionValues, requiredOption, UsageError } from './arguments.js';
import { EXIT } from './exit_status.js';
import { FIRST_SOCKET, type FirstFiles, firstFiles } from './first_files.js';
import { FIRST_BACKENDS, type FirstBackend, isFirstBackend } from './first_stores.js';
import { complain, type Io } from './io.js';

/** How often an answer may be wrong before it is given up. */
const TRIES = 3;

const IS_THERE = 'is there already, and nothing is overwritten';

const IDENTITY = LAUNCH_SCHEMA.properties.identity.properties;

interface Question {
  readonly name: 'role' | 'machine' | 'environment' | 'backend';
  readonly placeholder: string;
  readonly text: string;
  /** What is wrong with an answer, or null. */
  readonly wrong: (answer: string) => string | null;
}

const QUESTIONS: readonly Question[] = [
  identityQuestion('role', 'R', 'Role, the principal that policies name'),
  identityQuestion('machine', 'M', 'Machine'),
  identityQuestion('environment', 'E', 'Environment (dev, prod, …)'),
  {
    name: 'backend',
    placeholder: 'B',
    text: `Backend of the first store (${FIRST_BACKENDS.join(', ')})`,
    wrong: (answer) =>
      isFirstBackend(answer)
        ? null
        : `must be one of ${FIRST_BACKENDS.join(', ')}${didYouMean(answer, FIRST_BACKENDS)}`,
  },
];

function identityQuestion(name: 'role' | 'machine' | 'environment', placeholder: string, text: string): Question {
  function wrong(answer: string): string | null {
    const problems: string[] = [];
    check(IDENTITY[name], answer, '', (_pointer, message) => problems.push(message));
    return problems[0] ?? null;
  }

  return { name, placeholder, text, wrong };
}

export async function init(io: Io, options: OptionValues): Promise<number> {
  const folder = options['dir'] === undefined ? '.' : requiredOption(options, 'dir', 'DIR');
  const socketBytes = lengthOfSocketPath(folder);
  if (socketBytes > MAX_SOCKET_PATH_BYTES) {
    const length = `have ${socketBytes} bytes, and ${MAX_SOCKET_PATH_BYTES} are the most`;
    throw new UsageError(`--dir DIR is too long: as an absolute path, ${FIRST_SOCKET} in it would ${length}`);
  }
  const answers = new Map<string, string>();
  for (const { name, placeholder, wrong } of QUESTIONS) {
    const given = options[name];
    if (typeof given !== 'string') continue;
    const problem = wrong(given);
    if (problem !== null) throw new UsageError(`--${name} ${placeholder} ${problem}`);
    answers.set(name, given);
  }
  const missing = QUESTIONS.filter(({ name }) => !answers.has(name));
  if (missing[0] !== undefined && !(io.stdin.isTTY && io.stderr.isTTY)) {
    const { name, placeholder } = missing[0];
    throw new UsageError(`--${name} ${placeholder} is missing, and there is no terminal to ask at`);
  }

  const paths = { launch: join(folder, 'launch.yaml'), secrets: join(folder, 'secrets.yaml') };
  // Before anybody is asked for anything; what appears meanwhile is not overwritten either.
  const there = Object.values(paths).find(isThere);
  if (there !== undefined) return refuse(io, { path: there, why: IS_THERE });
  for (const question of missing) answers.set(question.name, await ask(io, question));

  const answerTo = (name: Question['name']): string => answers.get(name) as string;
  const identity = { machine: answerTo('machine'), environment: answerTo('environment'), role: answerTo('role') };
  const files = firstFiles(identity, answerTo('backend') as FirstBackend);
  const failed = writeBoth(folder, paths, files);
  if (failed !== null) return refuse(io, failed);
  await io.stdout.write(nextSteps(folder, paths, files));
  return EXIT.ok;
}

function lengthOfSocketPath(folder: string): number {
  try {
    return Buffer.byteLength(resolve(folder, FIRST_SOCKET));
  } catch {
    return 0; // the working directory is gone, and nothing can be made in it
  }
}

/** A link that leads nowhere, too. What cannot be looked at cannot be made either. */
function isThere(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

interface Failed {
  readonly path: string;
  readonly why: string;
}

async function refuse(io: Io, { path, why }: Failed): Promise<number> {
  await complain(io, 'mxm-secretsd init', `${path}: ${why}`);
  return EXIT.cannotCreate;
}

async function ask(io: Io, { name, placeholder, text, wrong }: Question): Promise<string> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    await io.stderr.write(`${text}: `);
    const answer = await io.stdin.readLine();
    if (answer === null) break;
    const problem = wrong(answer);
    if (problem === null) return answer;
    await io.stderr.write(`It ${problem}.\n`);
  }
  throw new UsageError(`--${name} ${placeholder} is missing`);
}

type Paths = Readonly<Record<'launch' | 'secrets', string>>;

/** Both or none. Throws a ConfigError where a daemon would refuse them, as in a folder that everybody may write. */
function writeBoth(folder: string, paths: Paths, files: FirstFiles): Failed | null {
  const made: string[] = [];
  let at = folder;
  try {
    makeFolders(folder, 0o755);
    for (const name of ['launch', 'secrets'] as const) {
      at = paths[name];
      const fd = openSync(at, 'wx', 0o644);
      made.push(at);
      try {
        writeFileSync(fd, files[name]);
      } finally {
        closeSync(fd);
      }
    }
    loadConfiguration(paths.launch);
    return null;
  } catch (error) {
    for (const path of made) rmSync(path, { force: true });
    if (!isSystemError(error)) throw error;
    if (error.code === 'EEXIST') return { path: at, why: IS_THERE };
    return {
      path: at,
      why: `cannot be made: ${describeSystemError(error)}; name a folder that you may write with --dir`,
    };
  }
}

function isSystemError(error: unknown): error is { code: string } {
  return error instanceof Error && 'syscall' in error;
}

function nextSteps(folder: string, paths: Paths, { fill }: FirstFiles): string {
  const launch = shellWord(paths.launch);
  return `${printable(paths.launch)} and ${printable(paths.secrets)} are written. What comes next:

${fill((path) => shellWord(join(folder, path)))
  .map((command) => `  ${command}\n`)
  .join('')}  mxm-secretsd check --launch ${launch}
  mxm-secretsd serve --launch ${launch}

and in another terminal:

  mxm-secretsd get example_key --socket ${shellWord(join(folder, FIRST_SOCKET))}
`;
}

function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", `'\\''`)}'`;
}
