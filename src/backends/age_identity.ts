import type { KeyObject } from 'node:crypto';
import type { Identity, Stanza } from 'age-encryption';
import { allocateSecretBytes } from '../domain/secret_bytes.js';
import {
  deriveKey,
  KEY_BYTES,
  multiply,
  NO_NONCE,
  pointOf,
  publicKeyOf,
  secretKeyOf,
  TAG_BYTES,
  unseal,
} from './age_crypto.js';

const HRP = Buffer.from('AGE-SECRET-KEY-');
const SEPARATOR = Buffer.from('1');
const CHARSET = Buffer.from('QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L');
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3] as const;
const CHECKSUM_LENGTH = 6;

const FILE_KEY_BYTES = 16;
const INFO = 'age-encryption.org/v1/X25519';

/** How many identities are read, or stanzas unwrapped: each takes a good part of a millisecond, and all else waits. */
const AT_ONCE = 8;

const LINE_ENDING = 0x0a;
const BLANKS = new Set([0x20, 0x09, 0x0d]);
const COMMENT = 0x23;

/** A native identity on the curve of Node's own crypto; the package's takes it as a string, and is slower. */
export interface NativeIdentity {
  readonly privateKey: KeyObject;
  readonly recipient: Buffer;
}

export type IdentityFile =
  | { readonly kind: 'identities'; readonly identities: readonly NativeIdentity[] }
  /** Itself encrypted, with a passphrase that nobody can type. */
  | { readonly kind: 'encrypted' }
  /** Of another format (a key of ssh, of a plugin, …), damaged, or without any identity. */
  | { readonly kind: 'unusable' };

/**
 * Reads an identity file as `age-keygen` writes it: a native X25519 identity a line, empty lines, and comments behind
 * `#`. The bytes stay the caller's, and none of them becomes a string. `betweenPieces` is awaited now and then.
 */
export async function readIdentityFile(bytes: Buffer, betweenPieces: () => Promise<void>): Promise<IdentityFile> {
  if (bytes.indexOf('age-encryption.org/') === 0 || bytes.indexOf('-----BEGIN AGE ENCRYPTED FILE-----') === 0) {
    return { kind: 'encrypted' };
  }
  const identities: NativeIdentity[] = [];
  for (const line of significantLines(bytes)) {
    if (identities.length > 0 && identities.length % AT_ONCE === 0) await betweenPieces();
    const key = decodeIdentity(line);
    if (key === undefined) return { kind: 'unusable' };
    const privateKey = secretKeyOf(key);
    key.fill(0);
    identities.push({ privateKey, recipient: publicKeyOf(privateKey) });
  }
  return identities.length === 0 ? { kind: 'unusable' } : { kind: 'identities', identities };
}

function* significantLines(bytes: Buffer): Generator<Buffer> {
  let start = 0;
  while (start < bytes.length) {
    const at = bytes.indexOf(LINE_ENDING, start);
    let end = at === -1 ? bytes.length : at;
    const next = end + 1;
    while (end > start && BLANKS.has(bytes[end - 1] as number)) end -= 1;
    while (start < end && BLANKS.has(bytes[start] as number)) start += 1;
    if (end > start && bytes[start] !== COMMENT) yield bytes.subarray(start, end);
    start = next;
  }
}

/** Bech32 (BIP 173) of 32 bytes in upper case; undefined where it is none. The bytes are the caller's. */
export function decodeIdentity(text: Buffer): Buffer | undefined {
  const head = HRP.length + SEPARATOR.length;
  const digits = Math.ceil((KEY_BYTES * 8) / 5);
  if (text.length !== head + digits + CHECKSUM_LENGTH) return undefined;
  if (!text.subarray(0, HRP.length).equals(HRP) || !text.subarray(HRP.length, head).equals(SEPARATOR)) return undefined;

  let checksum = 1;
  const feed = (value: number): void => {
    const top = checksum >>> 25;
    checksum = ((checksum & 0x1ffffff) << 5) ^ value;
    for (const [bit, generator] of GENERATOR.entries()) if ((top >>> bit) & 1) checksum ^= generator;
  };
  // The checksum is that of the lower-case text.
  const lower = Buffer.from(HRP.toString('latin1').toLowerCase());
  for (const byte of lower) feed(byte >>> 5);
  feed(0);
  for (const byte of lower) feed(byte & 31);

  const key = allocateSecretBytes(KEY_BYTES);
  let isWhole = true;
  let [bits, count, at] = [0, 0, 0];
  for (const [index, byte] of text.subarray(head).entries()) {
    const value = CHARSET.indexOf(byte);
    isWhole &&= value !== -1;
    feed(value);
    if (index >= digits) continue; // of the checksum
    bits = ((bits << 5) | value) & 0xfff;
    count += 5;
    if (count < 8) continue;
    count -= 8;
    key[at] = bits >>> count;
    at += 1;
  }
  const padding = bits & ((1 << count) - 1);
  if (isWhole && checksum === 1 && padding === 0) return key;
  key.fill(0);
  return undefined;
}

/**
 * All of them as one identity of the package, in their order. `betweenPieces` is awaited now and then, and may throw: a
 * file may be for hundreds of recipients.
 */
export function identityOf(identities: readonly NativeIdentity[], betweenPieces: () => Promise<void>): Identity {
  return {
    async unwrapFileKey(stanzas) {
      const own = stanzas.filter(({ args }) => args[0] === 'X25519');
      let count = 0;
      for (const identity of identities) {
        for (const stanza of own) {
          if (count > 0 && count % AT_ONCE === 0) await betweenPieces();
          count += 1;
          const fileKey = unwrap(stanza, identity);
          if (fileKey !== null) return fileKey;
        }
      }
      return null;
    },
  };
}

/** Null where the stanza is for another identity; throws where it is malformed. */
function unwrap({ args, body }: Stanza, { privateKey, recipient }: NativeIdentity): Uint8Array | null {
  const [, encoded = '', ...others] = args;
  const share = Buffer.from(encoded, 'base64');
  const isCanonical = share.toString('base64').replace(/=+$/, '') === encoded;
  if (others.length > 0 || !isCanonical || share.length !== KEY_BYTES || body.length !== FILE_KEY_BYTES + TAG_BYTES) {
    throw new RangeError('malformed stanza');
  }
  const shared = multiply(privateKey, pointOf(share));
  const key = deriveKey(shared, Buffer.concat([share, recipient]), INFO);
  try {
    return unseal(key, NO_NONCE, body) ?? null;
  } finally {
    shared.fill(0);
    key.fill(0);
  }
}
