import type { EndSignal } from '../ending.js';
import { type BackendFailure, failure } from './backend.js';
import type { Said } from './command.js';
import { type DecryptionKey, decryptionKeys, type Keyring } from './gpg_keys.js';
import { recipientsIn, saysDamaged, saysNoAgent, saysPassphrase } from './gpg_status.js';

/** Why gpg did not decrypt: undefined where it does not tell. What it said may hold plaintext, and is searched and never kept. */
export async function gpgFailure(
  { stderr, status }: Said,
  keyring: Keyring,
  signal: EndSignal,
): Promise<BackendFailure | undefined> {
  const says = (text: string): boolean => stderr.includes(text);
  // A script in the place of gopass or gpg, which keeps descriptor 3 from it.
  if (says('status-fd is invalid')) return failure('backend_unavailable', 'other_program');
  if (saysNoAgent(stderr)) return failure('backend_unavailable', 'agent_unreachable');
  if (says('No secret key') || says('No pinentry')) {
    const recipients = recipientsIn(status);
    if (recipients.size === 0 && saysPassphrase(status)) return failure('backend_failed', 'passphrase_entry');
    const asked = await decryptionKeys(keyring, signal);
    return asked.ok ? failureOfKeys(recipients, asked.keys) : asked;
  }
  const isDamaged = saysDamaged(status) || says('failed to decrypt') || says('Decryption failed');
  return isDamaged ? failure('backend_failed', 'decrypt_failed') : undefined;
}

/** An entry is locked when a key that it is encrypted to is there and locked, and none is there and open. */
function failureOfKeys(recipients: ReadonlySet<string>, keys: readonly DecryptionKey[]): BackendFailure {
  const anybody = recipients.has('0000000000000000'); // a hidden recipient
  const candidates = keys.filter((key) => anybody || recipients.has(key.keyId));
  if (candidates.length === 0) return failure('backend_failed', 'key_missing');
  return candidates.every((key) => key.locked)
    ? failure('backend_locked', 'key_locked')
    : failure('backend_failed', 'decrypt_failed');
}
