import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { realGopass } from './real_component.js';
import { type Ending, temporaryFolder } from './temporary.js';

export interface Key {
  readonly fingerprint: string;
  /** Of the part that decrypts. */
  readonly keygrip: string;
}

/** A user with a fresh gpg key and a gopass store, in folders of their own. */
export interface GopassStore {
  readonly gopass: string;
  /** HOME, GNUPGHOME and PATH: all that the daemon of this user needs of an environment. */
  readonly environment: { readonly HOME: string; readonly GNUPGHOME: string; readonly PATH: string };
  /** Where the entries lie. */
  readonly folder: string;
  /** Without a passphrase; the store's recipient. */
  readonly key: Key;
  createKey(name: string, passphrase?: string): Key;
  /** Leaves the public half alone. */
  deleteSecretKey(key: Key): void;
  /** Makes gpg-agent hold the passphrase of a key. */
  unlock(key: Key, passphrase: string): void;
  /** Makes gpg-agent forget every passphrase. */
  lock(): void;
  killAgent(): void;
  /** Ends gpg-agent, and does not let gpg start it again. */
  forbidAgent(): void;
  /** Writes an entry of exactly these bytes, and gives its file. */
  insert(location: string, content: string | Uint8Array, recipient?: Key): string;
  /** To the store's key unless others are named. */
  encrypt(content: string | Uint8Array, ...recipients: readonly Key[]): Buffer;
  /** To the store's key, after so many that are not there. */
  encryptToMany(content: string, count: number): Buffer;
  /** Without saying to whom. */
  encryptHidden(content: string | Uint8Array, recipient: Key): Buffer;
  /** To no key: whoever types it can decrypt. */
  encryptByPassphrase(content: string | Uint8Array, passphrase: string): Buffer;
  /** What OpenPGP has for content that is not encrypted, by name. */
  unencrypted(content: string | Uint8Array): Readonly<Record<string, Buffer>>;
  /** The ids of the keys that something is encrypted to. */
  recipientsOf(ciphertext: Buffer): string[];
  /** Runs the real gopass as this user, with further variables; its status is the caller's to look at. */
  run(args: readonly string[], env?: Record<string, string>): { status: number | null; stdout: Buffer; stderr: string };
  /** Sets an option of the user's gopass configuration. */
  configure(option: string, value: string): void;
  /** Mounts a second store, and gives its folder. */
  mount(name: string): string;
}

const INIT = ['--yes', 'init', '--crypto', 'gpgcli', '--storage', 'fs'];

/** A user with a keyring and without a store: `initialise` makes it. */
export function createGopassStore(t: Ending, { initialise = true } = {}): GopassStore {
  const root = temporaryFolder(t);
  // Not ~/.gnupg: gpg would take that for its default, whose sockets are shared by all of this user's homes.
  const environment = { HOME: join(root, 'h'), GNUPGHOME: join(root, 'g'), PATH: process.env['PATH'] ?? '' };
  for (const folder of [environment.HOME, environment.GNUPGHOME]) mkdirSync(folder, { mode: 0o700 });
  // A passphrase that is quick to check: gpg-agent would take its time to make guessing expensive.
  writeFileSync(join(environment.GNUPGHOME, 'gpg-agent.conf'), 's2k-count 65536\n');
  const folder = join(environment.HOME, '.local/share/gopass/stores/root');
  const gopass = realGopass().file;

  const call = (file: string, args: readonly string[], input: string | Uint8Array = ''): Buffer =>
    execFileSync(file, args, { env: environment, input, stdio: 'pipe', maxBuffer: 1 << 28 });
  const gpg = (args: readonly string[], input?: string | Uint8Array): Buffer =>
    call('gpg', ['--batch', '--yes', '--quiet', ...args], input);
  const killAgent = (): void => void call('gpgconf', ['--kill', 'all']);
  t.teardown(killAgent);

  function createKey(name: string, passphrase?: string): Key {
    gpg(
      ['--pinentry-mode=loopback', '--generate-key'],
      [
        'Key-Type: EDDSA\nKey-Curve: ed25519\nSubkey-Type: ECDH\nSubkey-Curve: cv25519\nExpire-Date: 0',
        `Name-Real: ${name}\nName-Email: ${name}@example.invalid`,
        passphrase === undefined ? '%no-protection' : `Passphrase: ${passphrase}`,
        '%commit\n',
      ].join('\n'),
    );
    const listing = gpg([
      '--with-colons',
      '--with-keygrip',
      '--list-secret-keys',
      `=${name} <${name}@example.invalid>`,
    ]);
    const fieldOf = (record: string): string[] =>
      listing
        .toString('latin1')
        .split('\n')
        .filter((line) => line.startsWith(`${record}:`))
        .map((line) => line.split(':')[9] ?? '');
    return { fingerprint: fieldOf('fpr')[0]!, keygrip: fieldOf('grp')[1]! };
  }

  const deleteSecretKey = ({ fingerprint }: Key): void => void gpg(['--delete-secret-keys', fingerprint]);

  const key = createKey('daemon');

  const encryptTo = (option: string, content: string | Uint8Array, recipients: readonly Key[]): Buffer =>
    gpg(
      ['--trust-model=always', ...recipients.flatMap(({ fingerprint }) => [option, fingerprint]), '--encrypt'],
      content,
    );
  const encrypt: GopassStore['encrypt'] = (content, ...recipients) =>
    encryptTo('--recipient', content, recipients.length === 0 ? [key] : recipients);

  const store: GopassStore = {
    gopass,
    environment,
    folder,
    key,
    createKey,
    deleteSecretKey,
    unlock(locked, passphrase) {
      // Decrypting something is what makes the agent keep the passphrase.
      gpg(['--pinentry-mode=loopback', '--passphrase', passphrase, '--decrypt'], encrypt('x', locked));
    },
    lock: () => void call('gpg-connect-agent', ['reloadagent', '/bye']),
    killAgent,
    forbidAgent() {
      writeFileSync(join(environment.GNUPGHOME, 'gpg.conf'), 'no-autostart\n');
      killAgent();
    },
    insert(location, content, recipient = key) {
      const file = join(folder, `${location}.gpg`);
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, encrypt(content, recipient));
      chmodSync(file, 0o600);
      return file;
    },
    encrypt,
    encryptToMany(content, count) {
      const other = createKey('other');
      const ofOther = encrypt('x', other);
      deleteSecretKey(other);
      const toOther = ofOther.subarray(0, 2 + ofOther[1]!); // the first packet: its kind, its length, its bytes
      return Buffer.concat([...Array.from({ length: count }, () => toOther), encrypt(content)]);
    },
    encryptHidden: (content, recipient) => encryptTo('--hidden-recipient', content, [recipient]),
    encryptByPassphrase: (content, passphrase) =>
      gpg(['--pinentry-mode=loopback', '--passphrase', passphrase, '--symmetric'], content),
    unencrypted: (content) => ({
      stored: gpg(['--store'], content),
      'stored in an armor': gpg(['--store', '--armor'], content),
      'stored before what is encrypted': Buffer.concat([gpg(['--store'], content), encrypt('other')]),
      signed: gpg(['--sign'], content),
      'signed as a text': gpg(['--clear-sign'], content),
    }),
    recipientsOf: (ciphertext) =>
      [
        ...gpg(['--list-packets', '--list-only'], ciphertext)
          .toString('latin1')
          .matchAll(/keyid ([0-9A-F]{16})/g),
      ].map(([, keyId]) => keyId!),
    run(args, env = {}) {
      const ran = spawnSync(gopass, args, { env: { ...environment, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
      return { status: ran.status, stdout: ran.stdout, stderr: ran.stderr.toString('latin1') };
    },
    configure: (option, value) => void call(gopass, ['config', option, value]),
    mount(name) {
      const path = join(root, name);
      call(gopass, [...INIT, '--store', name, '--path', path, key.fingerprint]);
      return path;
    },
  };
  if (initialise) call(gopass, [...INIT, key.fingerprint]);
  return store;
}
