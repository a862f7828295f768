import {
  createCipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { allocateSecretBytes } from '../domain/secret_bytes.js';

export const KEY_BYTES = 32;
export const TAG_BYTES = 16;
export const NO_NONCE = Buffer.alloc(12);

/** The block of the stream that a text begins with: the one before is the tag's key. */
const FIRST_BLOCK = Buffer.of(1, 0, 0, 0);

/** What stands before the 32 bytes of an X25519 key in DER: PKCS #8 of the secret one, SPKI of the public one. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI_HEAD = Buffer.from('302a300506032b656e032100', 'hex');

/** A secret number to multiply points of the curve X25519 with. The bytes stay the caller's. */
export function secretKeyOf(bytes: Buffer): KeyObject {
  const der = Buffer.concat([PKCS8_HEAD, bytes]);
  try {
    return untraced(() => createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  } finally {
    der.fill(0);
  }
}

export function pointOf(bytes: Buffer): KeyObject {
  const der = Buffer.concat([SPKI_HEAD, bytes]);
  return untraced(() => createPublicKey({ key: der, format: 'der', type: 'spki' }));
}

/** The point that a secret key stands for. JWK, as its other forms are made by OpenSSL's slow encoders. */
export function publicKeyOf(privateKey: KeyObject): Buffer {
  return untraced(() => Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' }).x as string, 'base64url'));
}

/** OpenSSL refuses the points whose product would be zero, as age demands. */
export function multiply(privateKey: KeyObject, publicKey: KeyObject): Buffer {
  return diffieHellman({ privateKey, publicKey });
}

/** HKDF with SHA-256. */
export function deriveKey(secret: Uint8Array, salt: Uint8Array, info: string): Buffer {
  return untraced(() => Buffer.from(hkdfSync('sha256', secret, salt, info, KEY_BYTES)));
}

/**
 * Opens what ChaCha20-Poly1305 has sealed, its tag at the end, in a Buffer that is the receiver's. Undefined where it
 * was changed, or sealed with another key.
 *
 * Node leaves a copy of what a cipher gives in memory that nobody can reach. So none of them gives the text: one the
 * stream that it was mixed with, and another one, to which the text is told, what is sealed and its tag once more.
 */
export function unseal(
  key: Buffer,
  nonce: Buffer,
  sealed: Uint8Array,
  text = allocateSecretBytes(sealed.length - TAG_BYTES),
): Buffer | undefined {
  return untraced(() => {
    const stream = createCipheriv('chacha20', key, Buffer.concat([FIRST_BLOCK, nonce])).update(
      Buffer.alloc(text.length),
    );
    unmix(sealed, stream, text);
    stream.fill(0);
    const again = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
    again.update(text);
    again.final();
    if (timingSafeEqual(again.getAuthTag(), sealed.subarray(-TAG_BYTES))) return text;
    text.fill(0);
    return undefined;
  });
}

/** Byte by byte, as secrets are copied. */
function unmix(mixed: Uint8Array, stream: Uint8Array, text: Uint8Array): void {
  for (let at = 0; at < text.length; at += 1) text[at] = (mixed[at] as number) ^ (stream[at] as number);
}

/** Node 24 learns by an exception that a Buffer is no key object, and the trace of it takes as long as the cryptography. */
function untraced<T>(act: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return act();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
