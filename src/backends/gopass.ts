import * as Type from '@sinclair/typebox';
import { absolutePath } from '../config/schema.js';
import type { SecretStore } from '../domain/secrets.js';
import type { EndSignal } from '../ending.js';
import {
  type Backend,
  type BackendAnswer,
  type BackendFailure,
  type BackendKind,
  type BackendRequest,
  type BackendSurroundings,
  failure,
} from './backend.js';
import { type CommandEnd, runCommand, wipeSaid } from './command.js';
import { failureOfCommand } from './command_failure.js';
import { lengthWithoutLineEndings, TRAILING_LINE_ENDINGS, valueOfEntry } from './entry.js';
import { gpgFailure } from './gpg_failure.js';
import { decryptionKeys } from './gpg_keys.js';
import { saysDecrypted, saysPlaintext } from './gpg_status.js';
import { fileFingerprint, findProgram, MAX_VERSION_BYTES } from './program.js';

/** Before it gopass ended an entry at a line of 64 KiB, and said nothing. */
const OLDEST_VERSION = '1.15.8';

/**
 * All that gopass gets of the environment: where its store and its keys are. Variables that redirect the store or
 * write logs (PASSWORD_STORE_DIR, GOPASS_DEBUG*, …) are left out by not being listed.
 */
const PASSED_VARIABLES = [
  'HOME',
  'PATH',
  'GNUPGHOME',
  'GOPASS_HOMEDIR',
  'XDG_CONFIG_HOME',
  'XDG_CACHE_HOME',
  'XDG_DATA_HOME',
] as const;

/**
 * Settings of gopass that no configuration of the user, or of the store itself, may have otherwise: an entry stands for
 * itself and not for another one that it refers to, a listing of a folder can be told by what it begins with, and
 * nothing is copied to a clipboard. The last one is the name that gopass before 1.15.9 has for the one above it.
 */
const SETTINGS = [
  ['core.follow-references', 'false'],
  ['core.nocolor', 'true'],
  ['show.autoclip', 'false'],
  ['core.showautoclip', 'false'],
] as const;

/**
 * pinentry-mode=error: a locked key fails at once; status-fd: gpg says which keys an entry is encrypted to, and whether it
 * decrypted. It says so past gopass, which would take each line from its stderr, with a switch of tasks, to pass it on.
 */
const GPG_OPTIONS = '--batch --no-tty --pinentry-mode=error --status-fd=3';

/** What `gpgconf` prints of its components, each on a line `NAME:DESCRIPTION:FILE`. */
const MAX_COMPONENTS_BYTES = 65_536;

/** A SHA-256 sum in hexadecimal digits and a line ending, with room to spare. */
const MAX_SUM_BYTES = 128;

/** What stands before each name right below a folder in a tree of gopass. */
const BRANCHES = ['├── ', '└── '];

const ExitCode = { unknown: 1, crashed: 2, notInitialised: 6, notFound: 10, list: 13, config: 16 } as const;

const DECRYPTION_FAILED = '❌ Decryption failed: ';

/** How Go says EAGAIN, EMFILE, ENFILE and ENOMEM, of gopass or of gpg that it cannot start. */
const ERRORS_OF_SHORTAGE = [
  ': resource temporarily unavailable',
  ': too many open files',
  ': too many open files in system',
  ': cannot allocate memory',
];

/** What Go itself says when it cannot go on. */
const CRASHES_OF_SHORTAGE = [
  'pthread_create failed: ',
  'runtime: failed to create new OS thread',
  'runtime: eventfd failed',
  'runtime: cannot allocate memory',
  'runtime: out of memory',
];

export const gopassKind: BackendKind = {
  storeKeys: {
    binary: Type.Optional(absolutePath({ description: 'gopass program; default: gopass of PATH at start' })),
  },
  fields: true,
  rootIsDirectory: false,
  checkRoot: () => null,
  checkPath: () => null,
  open,
};

function open(store: SecretStore, { environment }: BackendSurroundings): Backend {
  const ownEnv = gopassEnvironment(environment);
  let env = ownEnv;
  const named = store.options['binary'] as string | undefined;
  let found = named ?? findProgram('gopass', environment);
  /** Of gopass and of the gpg that it is told to use, once `--version` has shown that it is the right one. */
  let verified: string | undefined;

  /** Whatever gopass does: if it lets gpg decrypt, gpg has to vouch for what it gave. */
  function run(file: string, args: readonly string[], maxStdoutBytes: number, signal: EndSignal): Promise<CommandEnd> {
    return runCommand({ file, args, env, maxStdoutBytes, proves: isDecryptedIfByGpg, signal });
  }

  function fingerprintOf(file: string): string | undefined {
    const gopass = fileFingerprint(file);
    const gpg = env['GOPASS_GPG_BINARY'];
    return gopass && `${gopass} ${gpg === undefined ? '' : fileFingerprint(gpg)}`;
  }

  /** The program; asked anew when a file has changed. */
  async function program(signal: EndSignal): Promise<string | BackendFailure> {
    found ??= findProgram('gopass', environment);
    const file = found;
    const fingerprint = file && fingerprintOf(file);
    if (file === undefined || fingerprint === undefined) return failure('backend_unavailable', 'binary_missing');
    if (verified === fingerprint) return file;

    const version = await run(file, ['--version'], MAX_VERSION_BYTES, signal);
    const isOther = version.end === 'failed' && !isShortage(version.exitCode, version.stderr);
    if (isOther || version.end === 'too_large') return failure('backend_unavailable', 'other_program');
    if (version.end !== 'succeeded') return failureOf(version, env, signal);
    const [, printed] = /^gopass (\d+\.\d+\.\d+)/.exec(version.stdout.toString('latin1')) ?? [];
    if (printed === undefined) return failure('backend_unavailable', 'other_program');
    if (ordinal(printed) < ordinal(OLDEST_VERSION)) return failure('backend_unavailable', 'program_too_old');
    await findGpg(signal);
    if (!signal.aborted) verified = fingerprintOf(file);
    return file;
  }

  /** Otherwise gopass starts gpgconf each time it runs, to learn where gpg is. It takes the same answer. */
  async function findGpg(signal: EndSignal): Promise<void> {
    env = ownEnv;
    const gpgconf = findProgram('gpgconf', environment);
    if (gpgconf === undefined) return;
    const listed = await runCommand({ file: gpgconf, args: [], env, maxStdoutBytes: MAX_COMPONENTS_BYTES, signal });
    if (listed.end !== 'succeeded') return;
    const [, gpg] = /^gpg:[^:\n]*:([^:\n]+)/m.exec(listed.stdout.toString('utf8')) ?? [];
    if (gpg !== undefined && fileFingerprint(gpg) !== undefined) env = { ...ownEnv, GOPASS_GPG_BINARY: gpg };
  }

  async function fetch({ location, field, maxBytes, signal }: BackendRequest): Promise<BackendAnswer> {
    const file = await program(signal);
    if (typeof file !== 'string') return file;
    // gopass itself drops a leading slash where it looks for entries, but not where it looks for folders and mounts.
    const shown = await show(file, location.replace(/^\/+/, ''), maxBytes, signal);
    if (!('end' in shown)) return shown;
    if (shown.end !== 'succeeded') return failureOf(shown, env, signal);
    const { stdout } = shown;
    if (lengthWithoutLineEndings(stdout) <= maxBytes) return valueOfEntry(stdout, field);
    stdout.fill(0);
    return failure('backend_failed', 'value_too_large');
  }

  /** What `show` gives of an entry. A folder may become one meanwhile: what it gives before and after is the entry's. */
  async function show(
    file: string,
    entry: string,
    maxBytes: number,
    signal: EndSignal,
  ): Promise<CommandEnd | BackendFailure> {
    // -n: the entry as it is stored. Plain `show` rewrites YAML, `-o` gives a line, `cat` may write the entry.
    // --: a location may begin with a dash.
    const args = ['show', '-n', '--', entry];
    const runShow = (): Promise<CommandEnd> => run(file, args, maxBytes + TRAILING_LINE_ENDINGS, signal);
    let shown = await runShow();
    while (mayBeListing(shown, entry)) {
      const before = shown;
      try {
        const why = await whyNoEntry(file, entry, signal);
        if (why !== null) return why;
        shown = await runShow();
        if (isSame(before, shown)) break;
      } finally {
        if (before.end === 'succeeded') before.stdout.fill(0);
      }
    }
    return shown;
  }

  /** Null when it is an entry. `show` shows folders too; `sum` works on entries alone, even beside a folder of that name. */
  async function whyNoEntry(file: string, entry: string, signal: EndSignal): Promise<BackendFailure | null> {
    const summed = await run(file, ['sum', '--', entry], MAX_SUM_BYTES, signal);
    if (summed.end !== 'succeeded') return failureOf(summed, env, signal);
    summed.stdout.fill(0);
    return null;
  }

  return {
    fetch,
    async probe(signal) {
      const file = await program(signal);
      if (typeof file !== 'string') return file;
      const listed = await run(file, ['ls', '--flat'], 0, signal);
      if (listed.end === 'failed' && listed.exitCode === ExitCode.list) {
        wipeSaid(listed); // a symlink that leads nowhere spoils every listing, and no entry
      } else if (listed.end !== 'succeeded') return failureOf(listed, env, signal);
      // A store is worth nothing while all the keys that could open it are locked. No gpg keys: gopass uses age.
      const asked = await decryptionKeys({ env }, signal);
      return asked.ok && asked.keys.length > 0 && asked.keys.every((key) => key.locked)
        ? failure('backend_locked', 'key_locked')
        : { ok: true };
    },
  };
}

function gopassEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const env: Record<string, string> = {
    GOPASS_GPG_OPTS: GPG_OPTIONS,
    GOPASS_NO_REMINDER: '1',
    GOPASS_CONFIG_COUNT: String(SETTINGS.length),
  };
  for (const [index, [key, value]] of SETTINGS.entries()) {
    env[`GOPASS_CONFIG_KEY_${index}`] = key;
    env[`GOPASS_CONFIG_VALUE_${index}`] = value;
  }
  for (const name of PASSED_VARIABLES) {
    const value = environment[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

/** gopass may have taken age, or printed a listing: where gpg gave nothing there is nothing that it has to prove. */
function isDecryptedIfByGpg(status: Buffer): boolean {
  return saysDecrypted(status) || !saysPlaintext(status);
}

/** A number for each version, in their order. */
function ordinal(version: string): number {
  return version.split('.').reduce((number, part) => number * 10_000 + Number(part), 0);
}

async function failureOf(
  ended: Exclude<CommandEnd, { end: 'succeeded' }>,
  env: Readonly<Record<string, string>>,
  signal: EndSignal,
): Promise<BackendFailure> {
  if (ended.end !== 'failed') return failureOfCommand(ended);
  try {
    return await failureOfExit(ended, env, signal);
  } finally {
    wipeSaid(ended);
  }
}

/** gopass ends with one status for nearly everything; stderr, which may hold plaintext, is searched and never kept. */
async function failureOfExit(
  { exitCode, stderr, status }: Extract<CommandEnd, { end: 'failed' }>,
  env: Readonly<Record<string, string>>,
  signal: EndSignal,
): Promise<BackendFailure> {
  if (exitCode === ExitCode.notInitialised) return failure('backend_unavailable', 'not_initialised');
  if (exitCode === ExitCode.unknown || exitCode === ExitCode.config) {
    return failure('backend_unavailable', 'cannot_start');
  }
  const said = beforePlaintext(stderr);
  if (isShortage(exitCode, said)) return failure('backend_unavailable', 'cannot_start');
  // The second is said of a folder that holds nothing, the last where a symlink anywhere spoils the listing of a folder.
  if (
    exitCode === ExitCode.notFound ||
    endsWith(said, 'entry is not in the password store') ||
    endsWith(said, '" not found') ||
    beginsWith(said, '\nError: failed to list store: ')
  ) {
    return failure('secret_not_found', 'entry_missing');
  }
  return (
    (await gpgFailure({ stderr: said, status }, { env }, signal)) ?? failure('backend_failed', 'unexpected_answer')
  );
}

/**
 * What gpg said, and that its decryption failed. Below that line gopass prints what plaintext there is, and the entry's
 * name, neither of which may be taken for a message. A name that stands elsewhere is not at the end of a line.
 */
function beforePlaintext(stderr: Buffer): Buffer {
  const at = beginsWith(stderr, DECRYPTION_FAILED) ? 0 : stderr.indexOf(`\n${DECRYPTION_FAILED}`);
  const end = at === -1 ? lengthWithoutLineEndings(stderr) : stderr.indexOf('\n', at + 1);
  return stderr.subarray(0, end);
}

/** Whether there was no process, thread, descriptor or memory to be had. */
function isShortage(exitCode: number, said: Buffer): boolean {
  return exitCode === ExitCode.crashed
    ? CRASHES_OF_SHORTAGE.some((text) => said.includes(text))
    : ERRORS_OF_SHORTAGE.some((text) => endsWith(said, text));
}

/**
 * `gopass show` of a folder succeeds and prints a tree under the folder's name, or the bare name where the folder has just
 * become an entry. It takes the name for a format, so that one with `%` comes out as another: then the branches tell.
 */
function mayBeListing(shown: CommandEnd, entry: string): boolean {
  if (shown.end !== 'succeeded') return shown.end === 'too_large';
  const { stdout } = shown;
  const below = stdout.subarray(stdout.indexOf('\n') + 1);
  return beginsWith(stdout, entry) || BRANCHES.some((branch) => beginsWith(below, branch));
}

function isSame(one: CommandEnd, other: CommandEnd): boolean {
  if (one.end !== 'succeeded' || other.end !== 'succeeded') return one.end === other.end;
  return one.stdout.equals(other.stdout);
}

function endsWith(bytes: Buffer, text: string): boolean {
  const tail = Buffer.from(text);
  return bytes.subarray(-tail.length).equals(tail);
}

function beginsWith(bytes: Buffer, text: string): boolean {
  const head = Buffer.from(text);
  return bytes.subarray(0, head.length).equals(head);
}
