import { constants } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type * as Package from 'age-encryption';
import type { Identity } from 'age-encryption';
import { cleanText } from '../config/schema.js';
import type { SecretStore } from '../domain/secrets.js';
import type { EndSignal } from '../ending.js';
import { closeFile, openFile, statFile } from '../os/disk.js';
import { decodeArmor } from './age_armor.js';
import { identityOf, type NativeIdentity, readIdentityFile } from './age_identity.js';
import { decryptPayload, payloadBytes } from './age_payload.js';
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
import { probeDirectory, readBounded, withContainedFile } from './contained_file.js';
import { lengthWithoutLineEndings, TRAILING_LINE_ENDINGS, valueOfEntry } from './entry.js';
import { expandStorePath, pathBelowRoot } from './store_path.js';

const MAX_IDENTITY_FILE_BYTES = 65_536;

/** Some hundreds of recipients: each one costs a multiplication on the curve for each identity. */
const MAX_HEADER_BYTES = 65_536;

let loaded: Promise<typeof Package> | undefined;

/** With the first entry: who has no store of this kind does not pay for it. */
function loadPackage(): Promise<typeof Package> {
  // The loader that the tests run under adds a branch to an import().
  /* c8 ignore next */
  loaded ??= import('age-encryption');
  return loaded;
}

const BINARY_HEAD = Buffer.from('age-encryption.org/');
const BEFORE_MAC = '\n--- ';

/** Files of age, decrypted in this process with the identities of a file. Neither the identities nor the file is kept. */
export const ageKind: BackendKind = {
  storeKeys: {
    identity_file: cleanText({ description: 'the age identities, as age-keygen writes them' }),
  },
  fields: true,
  rootIsDirectory: true,
  checkRoot: () => null,
  checkPath: () => null,
  open,
};

function open(store: SecretStore, { environment }: BackendSurroundings): Backend {
  const root = expandStorePath(store.root, store, environment);
  const identityFile = expandStorePath(String(store.options['identity_file']), store, environment);
  if (root === undefined || identityFile === undefined) {
    return failingBackend(failure('backend_unavailable', 'credentials_missing'));
  }

  async function fetch({ location, field, maxBytes, signal }: BackendRequest): Promise<BackendAnswer> {
    const [ciphertext, identities] = await Promise.all([
      withContainedFile(root as string, `${pathBelowRoot(location, store)}.age`, signal, (file) =>
        readBounded(file, largestFile(maxBytes + TRAILING_LINE_ENDINGS), signal),
      ),
      readIdentities(identityFile as string, signal),
    ]);
    if (!Buffer.isBuffer(ciphertext)) return ciphertext;
    if ('code' in identities) return identities;
    const entry = await decrypt(ciphertext, identities, signal);
    if (!Buffer.isBuffer(entry)) return entry;
    if (lengthWithoutLineEndings(entry) <= maxBytes) return valueOfEntry(entry, field);
    entry.fill(0);
    return failure('backend_failed', 'value_too_large');
  }

  return {
    fetch,
    async probe(signal) {
      const directory = await probeDirectory(root);
      if (!directory.ok) return directory;
      const identities = await readIdentities(identityFile, signal);
      return 'code' in identities ? identities : { ok: true };
    },
  };
}

/** The size of an armored file with so many bytes in it, with the longest header and CRLF. */
function largestFile(plaintextBytes: number): number {
  const binary = MAX_HEADER_BYTES + payloadBytes(plaintextBytes);
  return Math.ceil(binary / 48) * 66 + 256;
}

async function readIdentities(file: string, signal: EndSignal): Promise<readonly NativeIdentity[] | BackendFailure> {
  let fd: number;
  try {
    // Without O_NONBLOCK a FIFO would wait for a writer.
    fd = await openFile(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return failure('backend_unavailable', 'identity_missing');
  }
  let bytes: Buffer | BackendFailure;
  try {
    const stat = await statFile(fd);
    if (!stat.isFile) return failure('backend_unavailable', 'identity_unusable');
    bytes = await readBounded({ fd, size: stat.size }, MAX_IDENTITY_FILE_BYTES, signal);
  } finally {
    closeFile(fd);
  }
  if (!Buffer.isBuffer(bytes)) {
    return bytes.reason === 'value_too_large' ? failure('backend_unavailable', 'identity_unusable') : bytes;
  }
  const read = await readIdentityFile(bytes, nextTurn);
  bytes.fill(0);
  switch (read.kind) {
    case 'identities':
      return read.identities;
    case 'encrypted':
      return failure('backend_locked', 'identity_locked');
    case 'unusable':
      return failure('backend_unavailable', 'identity_unusable');
  }
}

/** The plaintext in a Buffer of the receiver's own. */
async function decrypt(
  file: Buffer,
  identities: readonly NativeIdentity[],
  signal: EndSignal,
): Promise<Buffer | BackendFailure> {
  const { Decrypter } = await loadPackage();
  let why = failure('backend_failed', 'decrypt_failed');
  /** Other requests are answered while an entry is decrypted that is large, or for many. */
  const betweenPieces = async (): Promise<void> => {
    await nextTurn();
    if (signal.aborted) throw signal.reason as Error;
  };

  const decrypter = new Decrypter();
  decrypter.addIdentity(identityOf(identities, betweenPieces));
  // Asked when none of these could: so nobody can. No passphrase is ever tried, whatever work it would take.
  const last: Identity = {
    unwrapFileKey(stanzas) {
      const isForPassphrase = stanzas.some(({ args }) => args[0] === 'scrypt');
      why = failure('backend_failed', isForPassphrase ? 'passphrase_entry' : 'identity_mismatch');
      return null;
    },
  };
  decrypter.addIdentity(last);

  let fileKey: Uint8Array | undefined;
  try {
    const isBinary = file.subarray(0, BINARY_HEAD.length).equals(BINARY_HEAD);
    const binary = isBinary ? file : await decodeArmor(file, betweenPieces);
    const end = binary && endOfHeader(binary);
    if (binary === undefined || end === undefined) return why;
    fileKey = await decrypter.decryptHeader(binary.subarray(0, end));
    const entry = await decryptPayload(fileKey, binary.subarray(end), betweenPieces);
    return entry ?? why;
  } catch {
    // What the package throws may be anything; that the time is up is known otherwise.
    return signal.aborted ? failure('backend_timeout', 'timeout') : why;
  } finally {
    fileKey?.fill(0);
  }
}

/** Where the payload begins; undefined where no header ends in time. */
function endOfHeader(binary: Buffer): number | undefined {
  const header = binary.subarray(0, MAX_HEADER_BYTES);
  const mac = header.indexOf(BEFORE_MAC);
  const end = mac === -1 ? -1 : header.indexOf('\n', mac + BEFORE_MAC.length);
  return end === -1 ? undefined : end + 1;
}
