import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import t, { type Test } from 'tap';
import { createAgeStore, encrypted } from './support/age_store.js';
import { createGopassStore } from './support/gopass_store.js';
import { ask } from './support/http_client.js';
import { type RunningDaemon, runProgram, startDaemonProcess, writeConfiguration } from './support/process.js';
import { realAge, realGpg } from './support/real_component.js';
import { temporaryFolder, writeFile } from './support/temporary.js';
import { until } from './support/until.js';

// Each backend that has its counterpart on this machine, from a request over the socket to its store and back.

/** A secrets file with one store, and a ref of each path: named `secret_0`, `secret_1`, … */
function secretsFile(store: Record<string, string>, paths: readonly string[]): string {
  return JSON.stringify({
    stores: { red: store },
    refs: Object.fromEntries(paths.map((path, index) => [`secret_${index}`, { store: 'red', path, policy: 'open' }])),
    policies: { open: { allowed_principals: ['marketdata'] } },
  });
}

/** Asks for a secret: its value, or status, code and the reason that the log gives. */
async function get(daemon: RunningDaemon, index: number): Promise<string> {
  const answer = await ask(daemon.socket, `/secrets/secret_${index}`);
  if (answer.status === 200) return String(answer.json['value']);
  const id = answer.headers['x-request-id'];
  // Its answer may be here before its line of the log.
  const lineOf = (wanted: string) =>
    daemon.log().find(({ event, request_id }) => event === wanted && request_id === id);
  await until(() => lineOf('secret_access') !== undefined);
  return `${answer.status} ${String(answer.json['code'])}/${String(lineOf('secret_failed')?.['reason'])}`;
}

/** What `/readyz` says of the one store. */
async function readiness(daemon: RunningDaemon): Promise<unknown[]> {
  const { json } = await ask(daemon.socket, '/readyz');
  const { status, code } = (json['stores'] as Record<string, Record<string, unknown>>)['red']!;
  return code === undefined ? [status] : [status, code];
}

/** Nothing that the daemon has written holds a place or a value. */
function tellsNothing(t: Test, daemon: RunningDaemon, ...private_: readonly string[]): void {
  for (const text of private_) t.notMatch(daemon.stdout() + daemon.stderr(), text);
}

t.test('pass: over the socket, from a store that gpg keeps', { skip: realGpg().skip }, async (t) => {
  const user = createGopassStore(t, { initialise: false });
  const locked = user.createKey('protected', 'pass phrase');
  const gone = user.createKey('gone');
  const folder = join(user.folder, 'mxm/red');
  user.insert('mxm/red/good', 'value of good\n');
  user.insert('mxm/red/locked', 'value', locked);
  user.insert('mxm/red/gone', 'value', gone);
  user.insert('mxm/red/large', 'x'.repeat(5_000));
  user.insert('mxm/red/empty', '');
  writeFileSync(join(folder, 'damaged.gpg'), readFileSync(user.insert('mxm/red/other', 'value')).subarray(0, -1));
  writeFileSync(join(folder, 'passphrase.gpg'), user.encryptByPassphrase('value', 'pass phrase'));
  execFileSync('mkfifo', [join(folder, 'fifo.gpg')]);
  symlinkSync(user.insert('outside', 'value'), join(folder, 'outside.gpg'));
  user.deleteSecretKey(gone);
  user.lock();
  const expected = {
    good: 'value of good',
    absent: '404 secret_not_found/entry_missing',
    outside: '404 secret_not_found/entry_missing',
    fifo: '502 backend_failed/no_regular_file',
    damaged: '502 backend_failed/decrypt_failed',
    gone: '502 backend_failed/key_missing',
    passphrase: '502 backend_failed/passphrase_entry',
    large: '502 backend_failed/value_too_large',
    empty: '502 backend_failed/empty_value',
    locked: '503 backend_locked/key_locked',
  };
  const daemon = await startDaemonProcess(t, {
    secrets: secretsFile({ backend: 'pass', root: folder }, Object.keys(expected)),
    launch: 'limits: { max_value_bytes: 4000, backend_timeout_ms: 30000 }',
    env: user.environment,
  });
  t.same(await readiness(daemon), ['ready']);
  for (const [index, [path, answer]] of Object.entries(expected).entries()) {
    t.equal(await get(daemon, index), answer, path);
  }
  t.same(await readiness(daemon), ['unready', 'backend_locked'], 'until a fetch succeeds');
  t.equal(await get(daemon, 0), 'value of good');
  t.same(await readiness(daemon), ['ready']);

  user.forbidAgent();
  t.equal(await get(daemon, 0), '503 backend_unavailable/agent_unreachable');
  renameSync(folder, `${folder}-moved`);
  t.equal(await get(daemon, 0), '503 backend_unavailable/root_missing');
  t.same(await readiness(daemon), ['unready', 'backend_unavailable']);
  tellsNothing(t, daemon, folder, 'damaged', 'value of good');
});

t.test('pass: without gpg the store is unavailable, and one that hangs is ended', async (t) => {
  const folder = temporaryFolder(t);
  const gpg = writeFile(folder, 'gpg', '#!/bin/sh\nsleep 1000 & wait\n', 0o700);
  writeFile(folder, 'store/good.gpg', 'x');
  const store = { backend: 'pass', root: join(folder, 'store'), gpg };
  const daemon = await startDaemonProcess(t, {
    secrets: secretsFile(store, ['good']),
    launch: 'limits: { backend_timeout_ms: 300 }',
  });
  t.equal(await get(daemon, 0), '504 backend_timeout/timeout');
  rmSync(gpg);
  t.equal(await get(daemon, 0), '503 backend_unavailable/binary_missing');
  t.same(await readiness(daemon), ['unready', 'backend_unavailable']);
});

t.test('age: over the socket, from files that the real age has written', { skip: realAge().skip }, async (t) => {
  const store = await createAgeStore(t);
  const { folder, identityFile, recipient } = store;
  for (const [name, args] of [
    ['good', []],
    ['armored', ['-a']],
  ] as const) {
    const file = join(folder, `${name}.age`);
    execFileSync('age', [...args, '-r', recipient, '-o', file], { input: `value of ${name}\n` });
  }
  const others = await identityToRecipient(await generateX25519Identity());
  writeFileSync(join(folder, 'others.age'), await encrypted('value', others));
  const encrypter = new Encrypter();
  encrypter.setPassphrase('pass phrase');
  encrypter.setScryptWorkFactor(2);
  writeFileSync(join(folder, 'passphrase.age'), await encrypter.encrypt('value'));
  writeFileSync(join(folder, 'damaged.age'), readFileSync(await store.insert('other', 'value')).subarray(0, -1));
  await store.insert('large', 'x'.repeat(5_000));
  await store.insert('empty', '');
  symlinkSync(join(folder, '../identity.txt'), join(folder, 'outside.age'));
  execFileSync('mkfifo', [join(folder, 'fifo.age')]);
  const expected = {
    good: 'value of good',
    armored: 'value of armored',
    absent: '404 secret_not_found/entry_missing',
    outside: '404 secret_not_found/entry_missing',
    fifo: '502 backend_failed/no_regular_file',
    damaged: '502 backend_failed/decrypt_failed',
    others: '502 backend_failed/identity_mismatch',
    passphrase: '502 backend_failed/passphrase_entry',
    large: '502 backend_failed/value_too_large',
    empty: '502 backend_failed/empty_value',
  };
  const daemon = await startDaemonProcess(t, {
    secrets: secretsFile({ backend: 'age', root: folder, identity_file: identityFile }, Object.keys(expected)),
    launch: 'limits: { max_value_bytes: 4000 }',
    env: { PATH: temporaryFolder(t) }, // nothing is started
  });
  t.same(await readiness(daemon), ['ready']);
  for (const [index, [path, answer]] of Object.entries(expected).entries()) {
    t.equal(await get(daemon, index), answer, path);
  }
  const identity = readFileSync(identityFile);
  writeFileSync(identityFile, await encrypted(identity, recipient));
  t.equal(await get(daemon, 0), '503 backend_locked/identity_locked');
  writeFileSync(identityFile, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
  t.equal(await get(daemon, 0), '503 backend_unavailable/identity_unusable');
  t.same(await readiness(daemon), ['unready', 'backend_unavailable']);
  rmSync(identityFile);
  t.equal(await get(daemon, 0), '503 backend_unavailable/identity_missing');
  writeFileSync(identityFile, identity);
  t.equal(await get(daemon, 0), 'value of good');
  renameSync(folder, `${folder}-moved`);
  t.equal(await get(daemon, 0), '503 backend_unavailable/root_missing');
  tellsNothing(t, daemon, folder, 'damaged', 'value of good', 'AGE-SECRET-KEY');
});

t.test('file: over the socket, from credentials as systemd puts them there', async (t) => {
  const credentials = temporaryFolder(t);
  for (const [name, content] of Object.entries({ good: 'value of good\n', large: 'x'.repeat(5_000), empty: '' })) {
    writeFile(credentials, name, content, 0o400);
  }
  mkdirSync(join(credentials, 'folder'));
  execFileSync('mkfifo', [join(credentials, 'fifo')]);
  symlinkSync('/etc/passwd', join(credentials, 'outside'));
  const expected = {
    good: 'value of good\n',
    absent: '404 secret_not_found/entry_missing',
    folder: '404 secret_not_found/entry_missing',
    outside: '404 secret_not_found/entry_missing',
    fifo: '502 backend_failed/no_regular_file',
    large: '502 backend_failed/value_too_large',
    empty: '502 backend_failed/empty_value',
  };
  const daemon = await startDaemonProcess(t, {
    secrets: secretsFile({ backend: 'file', root: '$CREDENTIALS_DIRECTORY' }, Object.keys(expected)),
    launch: 'limits: { max_value_bytes: 4000 }',
    env: { CREDENTIALS_DIRECTORY: credentials },
  });
  t.same(await readiness(daemon), ['ready']);
  for (const [index, [path, answer]] of Object.entries(expected).entries()) {
    t.equal(await get(daemon, index), answer, path);
  }
  const text = await ask(daemon.socket, '/secrets/secret_0', { headers: { Accept: 'text/plain' } });
  t.equal(text.text, 'value of good\n', 'the last line ending is of the value');
  rmSync(credentials, { recursive: true });
  t.equal(await get(daemon, 0), '503 backend_unavailable/root_missing');
  t.same(await readiness(daemon), ['unready', 'backend_unavailable']);
  tellsNothing(t, daemon, credentials, 'outside', 'value of good');
});

t.test('a daemon that has not got the credentials that it is told of does not start, and check says so', async (t) => {
  const secrets = secretsFile({ backend: 'file', root: '$CREDENTIALS_DIRECTORY' }, ['good']);
  const { launchFile } = writeConfiguration(t, { secrets });
  const under = ['env', '-u', 'CREDENTIALS_DIRECTORY'];
  const served = await runProgram(['serve', '--launch', launchFile], { under });
  t.equal(served.status, 78);
  t.match(
    served.stderr,
    /secrets\.yaml:1:\d+: stores\.red\.root: begins with \$CREDENTIALS_DIRECTORY, which is not set/,
  );
  t.equal((await runProgram(['check', '--offline', '--launch', launchFile], { under })).status, 0);
  const checked = await runProgram(['check', '--launch', launchFile], { under });
  t.equal(checked.status, 69);
  t.match(checked.stdout.toString(), /^store\tred\tfile\tunready\tbackend_unavailable\tcredentials_missing\t/m);
});
