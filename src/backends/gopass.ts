import { absolutePath, Type } from '../config/schema.js';
import type { SecretStore } from '../domain/secrets.js';
import {
  type Backend,
  type BackendAnswer,
  type BackendFailure,
  type BackendKind,
  type BackendRequest,
  type BackendSurroundings,
  failure,
} from './backend.js';
import { type CommandEnd, runCommand } from './command.js';
import { valueOfEntry } from './entry.js';
import { type DecryptionKey, decryptionKeys } from './gpg_keys.js';
import { fileFingerprint, findProgram } from './program.js';

const OLDEST_VERSION = [1, 15] as const;

/** gopass adds a line ending, and an entry may end with several: they do not count against the limit of the value. */
const TRAILING_LINE_ENDINGS = 4096;

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

/** pinentry-mode=error: a locked key fails at once; status-fd: gpg says on stderr which keys an entry is encrypted to. */
const GPG_OPTIONS = '--batch --no-tty --pinentry-mode=error --status-fd=2';

const ExitCode = { unknown: 1, notInitialised: 6, notFound: 10, config: 16 } as const;

export const gopassKind: BackendKind = {
  storeKeys: {
    binary: Type.Optional(absolutePath({ description: 'gopass program; default: gopass of PATH at start' })),
  },
  fields: true,
  checkRoot: () => null,
  checkPath: () => null,
  open,
};

function open(store: SecretStore, { environment }: BackendSurroundings): Backend {
  const env = gopassEnvironment(environment);
  const named = store.options['binary'] as string | undefined;
  let found = named ?? findProgram('gopass', environment);
  let verified: { file: string; fingerprint: string } | undefined;

  /** The program, once its `--version` has shown that it is the right one; asked again when the file has changed. */
  async function program(signal: AbortSignal): Promise<string | BackendFailure> {
    found ??= findProgram('gopass', environment);
    const file = found;
    const fingerprint = file && fileFingerprint(file);
    if (file === undefined || fingerprint === undefined) return failure('backend_unavailable', 'binary_missing');
    if (verified?.file === file && verified.fingerprint === fingerprint) return file;

    const version = await runCommand({ file, args: ['--version'], env, maxStdoutBytes: 4096, signal });
    if (version.end === 'aborted') return failure('backend_timeout', 'timeout');
    if (version.end === 'missing') return failure('backend_unavailable', 'binary_missing');
    if (version.end === 'cannot_start') return failure('backend_unavailable', 'cannot_start');
    const printed =
      version.end === 'exited' && version.exitCode === 0
        ? /^gopass (\d+)\.(\d+)\./.exec(version.stdout.toString('latin1'))
        : null;
    if (printed === null) return failure('backend_unavailable', 'other_program');
    if (isTooOld(Number(printed[1]), Number(printed[2]))) return failure('backend_unavailable', 'program_too_old');
    verified = { file, fingerprint };
    return file;
  }

  async function fetch(request: BackendRequest): Promise<BackendAnswer> {
    const { location, field, maxBytes, signal } = request;
    const file = await program(signal);
    if (typeof file !== 'string') return file;
    const shown = await runCommand({
      file,
      // -n: the entry as it is stored. Plain `show` rewrites YAML, `-o` gives a line, `cat` may write the entry.
      // --: a location may begin with a dash.
      args: ['show', '-n', '--', location],
      env,
      maxStdoutBytes: maxBytes + TRAILING_LINE_ENDINGS,
      signal,
    });
    if (shown.end !== 'exited') return failureOfEnd(shown.end);
    const { exitCode, stdout, stderr } = shown;
    try {
      if (exitCode !== 0) return await failureOfExit(exitCode, stderr, env, signal);
      if (mayBeFolderListing(stdout, location) && !(await isEntry(file, location, signal))) {
        return failure('secret_not_found', 'entry_missing');
      }
      return valueOfEntry(stdout, field);
    } finally {
      stderr.fill(0);
    }
  }

  /** `gopass ls` of an entry prints its name; of a folder, what is in it. */
  async function isEntry(file: string, location: string, signal: AbortSignal): Promise<boolean> {
    const listed = await runCommand({
      file,
      args: ['ls', '--flat', '--', location],
      env,
      maxStdoutBytes: Buffer.byteLength(location) + 1,
      signal,
    });
    return listed.end === 'exited' && listed.exitCode === 0 && listed.stdout.equals(Buffer.from(`${location}\n`));
  }

  return {
    fetch,
    async probe(signal) {
      const file = await program(signal);
      if (typeof file !== 'string') return file;
      const listed = await runCommand({ file, args: ['ls', '--flat'], env, maxStdoutBytes: 0, signal });
      if (listed.end !== 'exited') return failureOfEnd(listed.end);
      if (listed.exitCode !== 0) return failureOfExit(listed.exitCode, listed.stderr, env, signal);
      // A store is worth nothing while all the keys that could open it are locked. No gpg keys: gopass uses age.
      const keys = (await decryptionKeys(env, signal)) ?? [];
      return keys.length > 0 && keys.every((key) => key.locked)
        ? failure('backend_locked', 'key_locked')
        : { ok: true };
    },
  };
}

function gopassEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const env: Record<string, string> = { GOPASS_GPG_OPTS: GPG_OPTIONS, GOPASS_NO_REMINDER: '1' };
  for (const name of PASSED_VARIABLES) {
    const value = environment[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

function isTooOld(major: number, minor: number): boolean {
  return major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1]);
}

function failureOfEnd(end: Exclude<CommandEnd['end'], 'exited'>): BackendFailure {
  switch (end) {
    case 'missing':
      return failure('backend_unavailable', 'binary_missing');
    case 'cannot_start':
      return failure('backend_unavailable', 'cannot_start');
    case 'killed_by_signal':
      return failure('backend_failed', 'killed_by_signal');
    case 'too_large':
      return failure('backend_failed', 'value_too_large');
    case 'aborted':
      return failure('backend_timeout', 'timeout');
  }
}

/** gopass ends with one status for nearly everything; stderr, which may hold plaintext, is searched and never kept. */
async function failureOfExit(
  exitCode: number,
  stderr: Buffer,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<BackendFailure> {
  if (exitCode === ExitCode.notInitialised) return failure('backend_unavailable', 'not_initialised');
  if (exitCode === ExitCode.unknown || exitCode === ExitCode.config)
    return failure('backend_unavailable', 'cannot_start');
  const says = (text: string): boolean => stderr.includes(text);
  if (exitCode === ExitCode.notFound || says('entry is not in the password store')) {
    return failure('secret_not_found', 'entry_missing');
  }
  if (says("can't connect to the agent") || says('no gpg-agent running') || says('No agent running')) {
    return failure('backend_unavailable', 'agent_unreachable');
  }
  if (says('No secret key') || says('No pinentry')) {
    const keys = await decryptionKeys(env, signal);
    return keys === undefined ? failure('backend_unavailable', 'agent_unreachable') : failureOfKeys(stderr, keys);
  }
  if (says('failed to decrypt') || says('Decryption failed')) return failure('backend_failed', 'decrypt_failed');
  return failure('backend_failed', 'unexpected_answer');
}

/** An entry is locked when a key that it is encrypted to is there and locked, and none is there and open. */
function failureOfKeys(stderr: Buffer, keys: readonly DecryptionKey[]): BackendFailure {
  const recipients = new Set(
    [...stderr.toString('latin1').matchAll(/^\[GNUPG:\] ENC_TO ([0-9A-F]{16}) /gm)].map(([, keyId]) => keyId),
  );
  const anybody = recipients.has('0000000000000000'); // a hidden recipient
  const candidates = keys.filter((key) => anybody || recipients.has(key.keyId));
  if (candidates.length === 0) return failure('backend_failed', 'key_missing');
  return candidates.every((key) => key.locked)
    ? failure('backend_locked', 'key_locked')
    : failure('backend_failed', 'decrypt_failed');
}

/** `gopass show` of a folder succeeds and prints a tree under the folder's name. */
function mayBeFolderListing(stdout: Buffer, location: string): boolean {
  const name = location.replace(/\/+$/, '');
  return stdout.subarray(0, Buffer.byteLength(name) + 2).equals(Buffer.from(`${name}/\n`));
}
