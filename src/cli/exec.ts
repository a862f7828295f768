import { isUtf8 } from 'node:buffer';
import { performance } from 'node:perf_hooks';
import { isIdentifier } from '../domain/identifier.js';
import { watchFolder } from '../os/cleanup_watcher.js';
import { closedOffDescriptors } from '../os/descriptors.js';
import { changedArgument, changedVariable } from '../os/given_bytes.js';
import { makeMemoryFolder, memoryPlaces } from '../os/memory_folder.js';
import type { OptionValues } from './arguments.js';
import { describeCode, socketPath } from './ask.js';
import { askSecret, type SecretAnswer, waitMilliseconds } from './ask_secret.js';
import { type Binding, parseBindings } from './bindings.js';
import { EXIT } from './exit_status.js';
import { relaySignals, runForeground } from './foreground.js';
import { complain, type Io } from './io.js';

/** How many secrets are asked for at once. */
const ASKED_AT_ONCE = 4;

/** Why the command is not run. */
type Refusal = Extract<SecretAnswer, { kind: 'refused' }>;

/** By the name of the secret. */
type Values = ReadonlyMap<string, Buffer>;

export async function exec(
  io: Io,
  options: OptionValues,
  operands: readonly string[],
  command: readonly string[],
): Promise<number> {
  const descriptors = closedOffDescriptors();
  const socket = socketPath(io, options);
  const deadline = performance.now() + waitMilliseconds(options);
  const bindings = parseBindings(operands, (options['file'] ?? []) as readonly string[]);
  const wrong = bindings.find(({ secret }) => !isIdentifier(secret));
  if (wrong !== undefined) return refuse(io, refusal(wrong, describeCode('invalid_secret_name'), EXIT.usage));
  const lost = lostBytes(io, bindings, command);
  if (lost !== undefined) return refuse(io, lost);

  const values = new Map<string, Buffer>();
  try {
    const refused =
      (await askAll(socket, new Set(bindings.map(({ secret }) => secret)), deadline, values)) ??
      unfitForEnvironment(bindings, values);
    if (refused !== undefined) return await refuse(io, refused);
    return await runWith(io, bindings, values, command, descriptors);
  } finally {
    wipe(values);
  }
}

async function refuse(io: Io, { why, status }: Refusal): Promise<number> {
  await complain(io, 'mxm-secretsd exec', why);
  return status;
}

function refusal({ variable }: Binding, why: string, status: number): Refusal {
  return { kind: 'refused', why: `${variable}: ${why}`, status };
}

/** What Node, which takes all text for UTF-8, would hand on as something else: the command might act on another file. */
function lostBytes({ environment }: Io, bindings: readonly Binding[], command: readonly string[]): Refusal | undefined {
  const argument = changedArgument(command);
  if (argument !== -1) {
    const which = argument === 0 ? 'its name' : `argument ${argument}`;
    const why = `${which} is not UTF-8 and would arrive changed: write a pattern for it, as in sh -c 'ls caf*'`;
    return { kind: 'refused', why: `the command: ${why}`, status: EXIT.data };
  }
  const bound = Object.fromEntries(bindings.map(({ variable }) => [variable, undefined]));
  const name = changedVariable({ ...environment, ...bound });
  if (name === undefined) return undefined;
  const why = `is not UTF-8 and would arrive changed: set it anew, or leave it out with env -u ${name}`;
  return { kind: 'refused', why: `the variable ${name} ${why}`, status: EXIT.data };
}

/**
 * Fills `values`; with the first refusal, which is given, nothing more is asked or waited for. To be overloaded is none
 * while several are asked for, as it may be these that are too many: then so many fewer are.
 */
async function askAll(
  socket: string,
  names: ReadonlySet<string>,
  deadline: number,
  values: Map<string, Buffer>,
): Promise<Refusal | undefined> {
  const refused = new AbortController();
  let first: Refusal | undefined;
  const waiting = [...names];
  let askers = Math.min(ASKED_AT_ONCE, waiting.length);
  async function askInTurn(): Promise<void> {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const isAlone = askers === 1;
      const answer = await askSecret(socket, name, { deadline, signal: refused.signal });
      if (answer.kind === 'value') {
        values.set(name, answer.value);
      } else if (answer.code === 'overloaded' && !isAlone && first === undefined) {
        waiting.push(name);
        if (askers > 1) break;
      } else {
        first ??= { ...answer, why: `${name}: ${answer.why}` };
        waiting.length = 0;
        refused.abort();
      }
    }
    askers -= 1;
  }
  await Promise.all(Array.from({ length: askers }, askInTurn));
  return first;
}

/** What Node, or any environment, cannot hold: a NUL ends a value, and what is not UTF-8 would arrive changed. */
function unfitForEnvironment(bindings: readonly Binding[], values: Values): Refusal | undefined {
  for (const binding of bindings.filter(({ asFile }) => !asFile)) {
    const value = valueOf(binding, values);
    if (value.includes(0)) {
      return refusal(
        binding,
        'the value has a NUL byte, which no environment variable can hold: use --file',
        EXIT.data,
      );
    }
    if (!isUtf8(value)) return refusal(binding, 'the value is not UTF-8 text: use --file', EXIT.data);
  }
  return undefined;
}

/** Every name has been asked for. */
function valueOf({ secret }: Binding, values: Values): Buffer {
  return values.get(secret) as Buffer;
}

function wipe(values: Values): void {
  for (const value of values.values()) value.fill(0);
}

async function runWith(
  io: Io,
  bindings: readonly Binding[],
  values: Values,
  command: readonly string[],
  descriptors: readonly number[],
): Promise<number> {
  // Before there is a file: from here to the start of the command nothing else gets its turn.
  const relay = relaySignals(io);
  const hasFiles = bindings.some(({ asFile }) => asFile);
  const folder = hasFiles ? makeMemoryFolder(memoryPlaces(io.environment)) : undefined;
  const watcher = folder && watchFolder(folder.path);
  try {
    const added = bindings.map((binding): [string, string] => {
      const value = valueOf(binding, values);
      return [binding.variable, binding.asFile && folder ? folder.write(binding.variable, value) : value.toString()];
    });
    wipe(values);
    const environment = { ...io.environment, ...Object.fromEntries(added) };
    const ending = await runForeground(command, environment, descriptors, relay, (pid) => {
      watcher?.waitFor(pid);
      folder?.heldBy(pid);
    });
    return ending.kind === 'ended' ? ending.status : await refuse(io, { ...ending, kind: 'refused' });
  } finally {
    folder?.remove();
    watcher?.end();
  }
}
