import { allocateSecretBytes } from '../domain/secret_bytes.js';
import { deriveKey, TAG_BYTES, unseal } from './age_crypto.js';

const CHUNK_BYTES = 65_536;
const NONCE_BYTES = 16;
const LAST = 1;

/** How large a payload of so many bytes is. */
export function payloadBytes(plaintextBytes: number): number {
  return NONCE_BYTES + plaintextBytes + Math.max(1, Math.ceil(plaintextBytes / CHUNK_BYTES)) * TAG_BYTES;
}

/**
 * Decrypts what follows the header of an age file, chunk by chunk into one Buffer that is the receiver's: the STREAM
 * construction of age's specification on Node's own crypto, which works on Buffers that can be filled with zeros.
 * `betweenChunks` is awaited between two of them and may throw. Undefined where the payload is not whole and unchanged.
 */
export async function decryptPayload(
  fileKey: Uint8Array,
  payload: Buffer,
  betweenChunks: () => Promise<void>,
): Promise<Buffer | undefined> {
  const sealed = payload.subarray(NONCE_BYTES);
  const chunks = Math.ceil(sealed.length / (CHUNK_BYTES + TAG_BYTES));
  const length = sealed.length - chunks * TAG_BYTES;
  // The last chunk has its tag at least, and of several it is not empty.
  if (chunks === 0 || length < (chunks - 1) * CHUNK_BYTES + (chunks === 1 ? 0 : 1)) return undefined;

  const nonce = payload.subarray(0, NONCE_BYTES);
  const key = deriveKey(fileKey, nonce, 'payload');
  const plaintext = allocateSecretBytes(length);
  let isWhole = false;
  try {
    for (let index = 0; index < chunks; index += 1) {
      if (index > 0) await betweenChunks();
      const at = index * (CHUNK_BYTES + TAG_BYTES);
      const chunk = sealed.subarray(at, at + CHUNK_BYTES + TAG_BYTES);
      const place = plaintext.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
      if (unseal(key, nonceOf(index, index === chunks - 1), chunk, place) === undefined) return undefined;
    }
    isWhole = true;
    return plaintext;
  } finally {
    key.fill(0);
    if (!isWhole) plaintext.fill(0);
  }
}

/** So a chunk that was changed, or is another one than it should be, cannot be unsealed. */
function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  if (isLast) nonce[11] = LAST;
  return nonce;
}
