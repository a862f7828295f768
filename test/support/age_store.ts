import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { type Ending, temporaryFolder, writeFile } from './temporary.js';

/** A folder of age files and the identity that opens them, made by the package. */
export interface AgeStore {
  /** Where the entries lie. */
  readonly folder: string;
  readonly identityFile: string;
  readonly identity: string;
  readonly recipient: string;
  /** Writes an entry of exactly these bytes, and gives its file. */
  insert(location: string, content: string | Uint8Array): Promise<string>;
}

export async function createAgeStore(t: Ending): Promise<AgeStore> {
  const root = temporaryFolder(t);
  const folder = join(root, 'store');
  mkdirSync(folder, { mode: 0o700 });
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  return {
    folder,
    identityFile: writeFile(root, 'identity.txt', `# public key: ${recipient}\n${identity}\n`),
    identity,
    recipient,
    async insert(location, content) {
      const file = join(folder, `${location}.age`);
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, await encrypted(content, recipient));
      chmodSync(file, 0o600);
      return file;
    },
  };
}

export async function encrypted(content: string | Uint8Array, ...recipients: readonly string[]): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return encrypter.encrypt(content);
}
