import { dirname } from 'node:path';
import type { EndSignal } from '../ending.js';
import { type BackendFailure, failure } from './backend.js';
import { type CommandEnd, runCommand, wipeSaid } from './command.js';
import { failureOfCommand } from './command_failure.js';
import { saysNoAgent } from './gpg_status.js';
import { findProgram } from './program.js';

/** A key of the user's keyring that can decrypt, and whose secret half is there. */
export interface DecryptionKey {
  /** 16 upper-case hexadecimal digits. */
  readonly keyId: string;
  /** Protected by a passphrase that gpg-agent does not hold at present. */
  readonly locked: boolean;
}

/** Whose keys are asked for. */
export interface Keyring {
  /** What gpg is started with. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute; default: gpg of PATH. What belongs to it is looked for beside it first. */
  readonly gpg?: string;
}

export type KeysAnswer = { readonly ok: true; readonly keys: readonly DecryptionKey[] } | BackendFailure;

const MAX_LISTING_BYTES = 4 * 1024 * 1024;

const LIST_KEYS = ['--batch', '--no-tty', '--with-colons', '--with-keygrip', '--list-secret-keys'];
const LIST_STATES = ['--no-autostart', 'keyinfo --list', '/bye'];

/**
 * The decryption keys of the user and their state, as gpg and gpg-agent tell: gpg itself says "No secret key" of a
 * locked key and of an absent one alike; or why they cannot be asked. Decrypts nothing.
 */
export async function decryptionKeys({ env, gpg }: Keyring, signal: EndSignal): Promise<KeysAnswer> {
  async function ask(file: string | undefined, args: readonly string[]): Promise<CommandEnd> {
    if (file === undefined) return { end: 'missing' };
    return runCommand({ file, args, env, maxStdoutBytes: MAX_LISTING_BYTES, signal });
  }

  const listing = await ask(gpg ?? findProgram('gpg', env), LIST_KEYS);
  if (listing.end !== 'succeeded') return failureOfListing(listing);
  // Listing has started the agent where it may be started.
  const beside = gpg && findProgram('gpg-connect-agent', { PATH: dirname(gpg) });
  const info = await ask(beside ?? findProgram('gpg-connect-agent', env), LIST_STATES);
  if (info.end === 'aborted') return failureOfCommand(info);
  const states = info.end === 'succeeded' ? info.stdout.toString('latin1') : '';
  // It succeeds without an agent too, and then prints no answer.
  if (!/^(?:OK|ERR)\b/m.test(states)) return failure('backend_unavailable', 'agent_unreachable');
  const locked = lockedKeygrips(states);
  const keys = secretEncryptionKeys(listing.stdout.toString('latin1'));
  return { ok: true, keys: keys.map(({ keyId, keygrip }) => ({ keyId, locked: locked.has(keygrip) })) };
}

function failureOfListing(ended: Exclude<CommandEnd, { end: 'succeeded' }>): BackendFailure {
  if (ended.end === 'too_large') return failure('backend_failed', 'unexpected_answer'); // no value, so no `value_too_large`
  if (ended.end !== 'failed') return failureOfCommand(ended);
  const isWithoutAgent = saysNoAgent(ended.stderr); // that cannot be started; with one that may not be it lists nothing
  wipeSaid(ended);
  return isWithoutAgent
    ? failure('backend_unavailable', 'agent_unreachable')
    : failure('backend_failed', 'unexpected_answer');
}

/** Of `gpg --with-colons` (GnuPG's doc/DETAILS): field 5 the key id, 12 its own capabilities in lower case, 15 `#` for a stub. */
function secretEncryptionKeys(listing: string): { keyId: string; keygrip: string }[] {
  const keys: { keyId: string; keygrip: string }[] = [];
  let current: string | undefined;
  for (const line of listing.split('\n')) {
    const fields = line.split(':');
    if (fields[0] === 'sec' || fields[0] === 'ssb') {
      current = fields[11]?.includes('e') && fields[14] !== '#' ? fields[4] : undefined;
    } else if (fields[0] === 'grp' && current !== undefined) {
      keys.push({ keyId: current, keygrip: fields[9] ?? '' });
      current = undefined;
    }
  }
  return keys;
}

/** Of `S KEYINFO KEYGRIP TYPE SERIAL IDSTR CACHED PROTECTION …`: protected by a passphrase (`P`) and not cached (`1`). */
function lockedKeygrips(info: string): Set<string> {
  const locked = new Set<string>();
  for (const line of info.split('\n')) {
    const [, kind, keygrip, , , , cached, protection] = line.trim().split(' ');
    if (kind === 'KEYINFO' && keygrip !== undefined && cached !== '1' && protection === 'P') locked.add(keygrip);
  }
  return locked;
}
