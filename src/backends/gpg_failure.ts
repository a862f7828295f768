import type { EndSignal } from '../ending.js';
import { type BackendFailure, failure } from './backend.js';
import { type DecryptionKey, decryptionKeys, type Keyring } from './gpg_keys.js';
import { saysNoAgent, saysPassphrase } from './gpg_status.js';

/**
 * Why gpg did not decrypt: undefined where its stderr does not tell. That may hold plaintext, so it is searched and
 * never kept; the lines of `--status-fd=2` stand in it.
 */
export async function gpgFailure(
  stderr: Buffer,
  keyring: Keyring,
  signal: EndSignal,
): Promise<BackendFailure | undefined> {
  const says = (text: string): boolean => stderr.includes(text);
  if (saysNoAgent(stderr)) return failure('backend_unavailable', 'agent_unreachable');
  if (says('No secret key') || says('No pinentry')) {
    const recipients = recipientsOf(stderr);
    if (recipients.size === 0 && saysPassphrase(stderr)) return failure('backend_failed', 'passphrase_entry');
    const asked = await decryptionKeys(keyring, signal);
    return asked.ok ? failureOfKeys(recipients, asked.keys) : asked;
  }
  const isDamaged = ['failed to decrypt', 'Decryption failed', '[GNUPG:] DECRYPTION_FAILED', '[GNUPG:] NODATA'];
  return isDamaged.some(says) ? failure('backend_failed', 'decrypt_failed') : undefined;
}

/** The ids of the keys that an entry is encrypted to. */
function recipientsOf(stderr: Buffer): ReadonlySet<string | undefined> {
  const lines = stderr.toString('latin1').matchAll(/^\[GNUPG:\] ENC_TO ([0-9A-F]{16}) /gm);
  return new Set([...lines].map(([, keyId]) => keyId));
}

/** An entry is locked when a key that it is encrypted to is there and locked, and none is there and open. */
function failureOfKeys(recipients: ReadonlySet<string | undefined>, keys: readonly DecryptionKey[]): BackendFailure {
  const anybody = recipients.has('0000000000000000'); // a hidden recipient
  const candidates = keys.filter((key) => anybody || recipients.has(key.keyId));
  if (candidates.length === 0) return failure('backend_failed', 'key_missing');
  return candidates.every((key) => key.locked)
    ? failure('backend_locked', 'key_locked')
    : failure('backend_failed', 'decrypt_failed');
}
