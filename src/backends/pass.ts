import * as Type from '@sinclair/typebox';
import { absolutePath, cleanText } from '../config/schema.js';
import type { SecretStore } from '../domain/secrets.js';
import type { EndSignal } from '../ending.js';
import {
  type Backend,
  type BackendAnswer,
  type BackendFailure,
  type BackendKind,
  type BackendRequest,
  type BackendSurroundings,
  failingBackend,
  failure,
} from './backend.js';
import { runCommand, wipeSaid } from './command.js';
import { failureOfCommand } from './command_failure.js';
import { probeDirectory, withContainedFile } from './contained_file.js';
import { lengthWithoutLineEndings, TRAILING_LINE_ENDINGS, valueOfEntry } from './entry.js';
import { gpgFailure } from './gpg_failure.js';
import { decryptionKeys } from './gpg_keys.js';
import { saysDecrypted } from './gpg_status.js';
import { findProgram, MAX_VERSION_BYTES } from './program.js';
import { absoluteStorePath, expandStorePath, pathBelowRoot } from './store_path.js';

/** All that gpg gets of the environment. */
const PASSED_VARIABLES = ['HOME', 'PATH', 'GNUPGHOME'] as const;

/**
 * pinentry-mode=error: a locked key fails at once. status-fd: it says which keys an entry is encrypted to, and whether it
 * decrypted, where nothing that stands in an entry can.
 * quiet: it looks up no names of keys to tell them. The others hold whatever the user's gpg.conf says: no key is fetched
 * from elsewhere, and the value goes to stdout.
 */
const ARGUMENTS = [
  '--batch',
  '--no-tty',
  '--quiet',
  '--pinentry-mode=error',
  '--status-fd=3',
  '--no-auto-key-retrieve',
  '--output=-',
  '--decrypt',
] as const;

/** Entries of a password-store or of a gpg store of gopass, decrypted by gpg alone. */
export const passKind: BackendKind = {
  storeKeys: {
    gpg: Type.Optional(absolutePath({ description: 'gpg program; default: gpg of PATH at start' })),
    gnupghome: Type.Optional(cleanText({ description: 'where gpg has its keys; default: $GNUPGHOME, or ~/.gnupg' })),
  },
  fields: true,
  rootIsDirectory: true,
  checkRoot: () => null,
  checkPath: () => null,
  open,
};

function open(store: SecretStore, { environment }: BackendSurroundings): Backend {
  const expanded = expandStorePath(store.root, store, environment);
  if (expanded === undefined) return failingBackend(failure('backend_unavailable', 'credentials_missing'));
  const root = expanded;
  const env = gpgEnvironment(store, environment);
  const named = store.options['gpg'] as string | undefined;
  let found = named ?? findProgram('gpg', environment);

  /** What a program does that is no gpg at all can look like anything: then that is told. */
  async function unlessOther(gpg: string, why: BackendFailure, signal: EndSignal): Promise<BackendFailure> {
    const version = await runCommand({
      file: gpg,
      args: ['--version'],
      env,
      maxStdoutBytes: MAX_VERSION_BYTES,
      signal,
    });
    if (version.end === 'failed') wipeSaid(version);
    const isOther = version.end === 'succeeded' && !/^gpg2? \(/.test(version.stdout.toString('latin1'));
    return isOther ? failure('backend_unavailable', 'other_program') : why;
  }

  async function fetch({ location, field, maxBytes, signal }: BackendRequest): Promise<BackendAnswer> {
    found ??= findProgram('gpg', environment);
    if (found === undefined) return failure('backend_unavailable', 'binary_missing');
    const gpg = found;
    // gpg reads the very file that was opened and checked, and is told no name.
    const shown = await withContainedFile(root, `${pathBelowRoot(location, store)}.gpg`, signal, ({ fd }) =>
      runCommand({
        file: gpg,
        args: ARGUMENTS,
        env,
        stdin: fd,
        maxStdoutBytes: maxBytes + TRAILING_LINE_ENDINGS,
        proves: saysDecrypted,
        signal,
      }),
    );
    if (!('end' in shown)) return shown;
    if (shown.end === 'failed') {
      const why = await gpgFailure(shown, { env, gpg }, signal);
      wipeSaid(shown);
      return why ?? unlessOther(gpg, failure('backend_failed', 'unexpected_answer'), signal);
    }
    if (shown.end === 'unproven') return unlessOther(gpg, failureOfCommand(shown), signal);
    if (shown.end !== 'succeeded') return failureOfCommand(shown);
    const { stdout } = shown;
    if (lengthWithoutLineEndings(stdout) <= maxBytes) return valueOfEntry(stdout, field);
    stdout.fill(0);
    return failure('backend_failed', 'value_too_large');
  }

  return {
    fetch,
    async probe(signal) {
      const directory = await probeDirectory(root);
      if (!directory.ok) return directory;
      found ??= findProgram('gpg', environment);
      if (found === undefined) return failure('backend_unavailable', 'binary_missing');
      const asked = await decryptionKeys({ env, gpg: found }, signal);
      if (!asked.ok) return unlessOther(found, asked, signal);
      const { keys } = asked;
      if (keys.length === 0) return unlessOther(found, failure('backend_failed', 'key_missing'), signal);
      return keys.every(({ locked }) => locked) ? failure('backend_locked', 'key_locked') : { ok: true };
    },
  };
}

function gpgEnvironment(
  store: SecretStore,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of PASSED_VARIABLES) {
    const value = environment[name];
    if (value !== undefined) env[name] = value;
  }
  const home = store.options['gnupghome'] as string | undefined;
  if (home !== undefined) env['GNUPGHOME'] = absoluteStorePath(home, store);
  return env;
}
