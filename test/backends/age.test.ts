import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { armor, Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { ageKind } from '../../src/backends/age.js';
import type { Backend } from '../../src/backends/backend.js';
import type { EndSignal } from '../../src/ending.js';
import { joinLocation } from '../../src/resolve.js';
import { type AgeStore, createAgeStore, encrypted } from '../support/age_store.js';
import { NODE } from '../support/node.js';
import { onPath, realAge, realComponent, skipWithout } from '../support/real_component.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

const { skip } = realAge();

const NO_ENTRY = 'secret_not_found/entry_missing';
const DAMAGED = 'backend_failed/decrypt_failed';
const MISMATCH = 'backend_failed/identity_mismatch';

interface Opening {
  readonly identityFile?: string;
  readonly environment?: Record<string, string>;
  readonly root?: string;
}

function open({ folder, identityFile }: AgeStore, opening: Opening = {}): Backend {
  const options = { identity_file: opening.identityFile ?? identityFile };
  const store = { name: 'red', backend: 'age', root: opening.root ?? folder, options };
  return ageKind.open(store, { environment: opening.environment ?? {} });
}

interface Question {
  readonly field?: string;
  readonly maxBytes?: number;
  readonly backend?: Backend;
  readonly signal?: EndSignal;
}

/** The value byte by byte, or code and reason. */
async function fetch(store: AgeStore, path: string, question: Question = {}): Promise<string> {
  const { field, maxBytes = 1_048_576, backend = open(store), signal = new AbortController().signal } = question;
  const location = joinLocation(store.folder, path);
  const answer = await backend.fetch({ location, ...(field !== undefined && { field }), maxBytes, signal });
  return answer.ok ? answer.value.toString('latin1') : `${answer.code}/${answer.reason}`;
}

async function probe(backend: Backend, signal = new AbortController().signal): Promise<string> {
  const answer = await backend.probe(signal);
  return answer.ok ? 'ready' : `${answer.code}/${answer.reason}`;
}

t.test('for all bytes: the value is the entry without its trailing line endings', async (t) => {
  const store = await createAgeStore(t);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.constantFrom('value\n', 'one\r\ntwo\r\n\n', '\n', '\0\0', ' \t').map((text) => Buffer.from(text)),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (content) => {
      await store.insert('mxm/red/entry', content);
      const expected = Buffer.from(content)
        .toString('latin1')
        .replace(/(\r?\n)*$/, '');
      return (await fetch(store, 'mxm/red/entry')) === expected;
    }),
    { numRuns: 50 },
  );
});

t.test('an entry may be as long as several chunks, and end where one does', async (t) => {
  const store = await createAgeStore(t);
  for (const length of [65_535, 65_536, 65_537, 131_072, 200_000]) {
    const content = Buffer.alloc(length, 'abcdefg');
    await store.insert('entry', content);
    t.equal((await fetch(store, 'entry')) === content.toString('latin1'), true, String(length));
  }
});

t.test('an entry has fields', async (t) => {
  const store = await createAgeStore(t);
  await store.insert('entry', 'pw\nuser: alice\n');
  t.equal(await fetch(store, 'entry', { field: 'password' }), 'pw');
  t.equal(await fetch(store, 'entry', { field: 'user' }), 'alice');
  t.equal(await fetch(store, 'entry', { field: 'absent' }), 'secret_not_found/field_missing');
});

t.test('an entry has at most the bytes that were allowed, its trailing line endings not counted', async (t) => {
  const store = await createAgeStore(t);
  const tooLarge = 'backend_failed/value_too_large';
  await store.insert('entry', `${'x'.repeat(1_000)}\n\n\n`);
  t.equal(await fetch(store, 'entry', { maxBytes: 1_000 }), 'x'.repeat(1_000));
  t.equal(await fetch(store, 'entry', { maxBytes: 999 }), tooLarge);
  await store.insert('entry', 'x'.repeat(1_000_000));
  t.equal(await fetch(store, 'entry', { maxBytes: 999 }), tooLarge, 'not even read');
});

t.test('for all lengths up to the limit: the longest armored file of such an entry is not too large', async (t) => {
  const store = await createAgeStore(t);
  for (const length of [0, 1, 48, 65_536, 300_000]) {
    const content = Buffer.concat([Buffer.alloc(length + 1, 'x'), Buffer.alloc(4_096, '\n')]);
    const file = await store.insert('entry', content);
    writeFileSync(file, armor.encode(readFileSync(file)).replaceAll('\n', '\r\n'));
    t.equal((await fetch(store, 'entry', { maxBytes: length + 1 })).length, length + 1);
  }
});

t.test('an armored entry is read too', async (t) => {
  const store = await createAgeStore(t);
  const file = await store.insert('entry', 'value');
  const text = armor.encode(readFileSync(file));
  for (const armored of [text, text.replaceAll('\n', '\r\n'), `\n ${text}\n\n`]) {
    writeFileSync(file, armored);
    t.equal(await fetch(store, 'entry'), 'value');
  }
  writeFileSync(file, text.replace('END AGE', 'END'));
  t.equal(await fetch(store, 'entry'), DAMAGED);
});

t.test('what is no entry is not found: nothing, a folder, what leads out of the root', async (t) => {
  const store = await createAgeStore(t);
  await store.insert('mxm/entry', 'value');
  mkdirSync(join(store.folder, 'strange.age'));
  for (const path of ['other', 'mxm', 'mxm/entry.age', 'mxm/entry/below', 'strange']) {
    t.equal(await fetch(store, path), NO_ENTRY, path);
  }
  const outside = join(temporaryFolder(t), 'outside.age');
  writeFileSync(outside, await encrypted('outside', store.recipient));
  symlinkSync(outside, join(store.folder, 'link.age'));
  t.equal(await fetch(store, 'link'), NO_ENTRY);
});

t.test('nothing is kept: another entry and another identity count at once', async (t) => {
  const store = await createAgeStore(t);
  const backend = open(store);
  const file = await store.insert('entry', 'one');
  t.equal(await fetch(store, 'entry', { backend }), 'one');
  await store.insert('entry', 'two');
  t.equal(await fetch(store, 'entry', { backend }), 'two');
  const next = await generateX25519Identity();
  writeFileSync(file, await encrypted('three', await identityToRecipient(next)));
  t.equal(await fetch(store, 'entry', { backend }), MISMATCH);
  writeFileSync(store.identityFile, `${store.identity}\n${next}\n`);
  t.equal(await fetch(store, 'entry', { backend }), 'three');
});

t.test('an entry for others is told from a damaged one', async (t) => {
  const store = await createAgeStore(t);
  const others = await Promise.all(
    Array.from({ length: 3 }, async () => identityToRecipient(await generateX25519Identity())),
  );
  const file = join(store.folder, 'entry.age');
  writeFileSync(file, await encrypted('value', ...others));
  t.equal(await fetch(store, 'entry'), MISMATCH);
  writeFileSync(file, await encrypted('value', ...others, store.recipient));
  t.equal(await fetch(store, 'entry'), 'value');
});

t.test('a damaged entry never gives a value, and nothing of it is told', async (t) => {
  const store = await createAgeStore(t);
  const file = await store.insert('entry', Buffer.alloc(70_000, 'canary-4b7e0c95-'));
  const whole = readFileSync(file);
  const places = [...Array.from({ length: 250 }, (_, at) => at), 65_000, 66_000, whole.length - 1];
  for (const at of places) {
    const flipped = Buffer.from(whole);
    flipped[at]! ^= 1;
    for (const bytes of [flipped, whole.subarray(0, at)]) {
      writeFileSync(file, bytes);
      const answer = await open(store).fetch({
        location: `${store.folder}/entry`,
        maxBytes: 1_048_576,
        signal: new AbortController().signal,
      });
      t.equal(answer.ok, false, `${at}`);
      t.notMatch(inspect(answer), 'canary');
    }
  }
  writeFileSync(file, Buffer.concat([whole, Buffer.of(0)]));
  t.equal(await fetch(store, 'entry'), DAMAGED, 'with a byte more');
  writeFileSync(file, 'plain text');
  t.equal(await fetch(store, 'entry'), DAMAGED);
});

t.test('an entry that is encrypted with a passphrase is told at once, whatever work it would take', async (t) => {
  const store = await createAgeStore(t);
  const encrypter = new Encrypter();
  encrypter.setPassphrase('pass phrase');
  encrypter.setScryptWorkFactor(2);
  const file = Buffer.from(await encrypter.encrypt('value'));
  for (const work of ['2', '22', '99']) {
    const harder = file.toString('latin1').replace(/^(-> scrypt \S+) 2$/m, `$1 ${work}`);
    writeFileSync(join(store.folder, 'entry.age'), harder, 'latin1');
    t.equal(await fetch(store, 'entry'), 'backend_failed/passphrase_entry', work);
  }
});

t.test('the header is bounded, as every recipient costs a multiplication', async (t) => {
  const store = await createAgeStore(t);
  const file = await store.insert('entry', 'value');
  const [head, ...rest] = readFileSync(file, 'latin1').split('\n');
  const stanza = rest.slice(0, 2);
  const withStanzas = (count: number): string =>
    [head, ...Array.from({ length: count }, () => stanza).flat(), ...rest].join('\n');
  writeFileSync(file, withStanzas(300), 'latin1');
  t.equal(await fetch(store, 'entry'), DAMAGED, 'the header is not what was signed, which only reading it shows');
  writeFileSync(file, withStanzas(1_000), 'latin1');
  t.equal(await fetch(store, 'entry'), DAMAGED);
});

t.test('an identity file that gives no identity is told for what it is, by a fetch and by a probe', async (t) => {
  const store = await createAgeStore(t);
  await store.insert('entry', 'value');
  const folder = temporaryFolder(t);
  const file = join(folder, 'identity');
  const told = async (): Promise<string> => {
    const backend = open(store, { identityFile: file });
    const [fetched, probed] = [await fetch(store, 'entry', { backend }), await probe(backend)];
    t.equal(probed, fetched);
    return fetched;
  };
  t.equal(await told(), 'backend_unavailable/identity_missing');
  writeFileSync(file, 'x');
  t.equal(await told(), 'backend_unavailable/identity_unusable');
  writeFileSync(file, '#'.repeat(100_000));
  t.equal(await told(), 'backend_unavailable/identity_unusable', 'too large');
  writeFileSync(file, await encrypted(store.identity, store.recipient));
  t.equal(await told(), 'backend_locked/identity_locked');
  rmSync(file);
  execFileSync('mkfifo', [file]);
  t.equal(await told(), 'backend_unavailable/identity_unusable', 'a FIFO, for which nobody waits');
  rmSync(file);
  mkdirSync(file);
  t.equal(await told(), 'backend_unavailable/identity_unusable', 'a folder');
});

t.test('a store is ready when its root and its identities are there', async (t) => {
  const store = await createAgeStore(t);
  t.equal(await probe(open(store)), 'ready');
  t.equal(await probe(open(store), AbortSignal.abort()), 'backend_timeout/timeout');
  renameSync(store.folder, `${store.folder}-gone`);
  t.equal(await probe(open(store)), 'backend_unavailable/root_missing');
  t.equal(await fetch(store, 'entry'), 'backend_unavailable/root_missing');
});

t.test('the identity file may be a credential of a systemd unit', async (t) => {
  const store = await createAgeStore(t);
  await store.insert('entry', 'value');
  const environment = { CREDENTIALS_DIRECTORY: join(store.identityFile, '..') };
  const identityFile = '$CREDENTIALS_DIRECTORY/identity.txt';
  t.equal(await fetch(store, 'entry', { backend: open(store, { identityFile, environment }) }), 'value');
  const missing = 'backend_unavailable/credentials_missing';
  t.equal(await fetch(store, 'entry', { backend: open(store, { identityFile }) }), missing);
  t.equal(await probe(open(store, { root: '$CREDENTIALS_DIRECTORY' })), missing);
});

t.test('an aborted call ends as a timeout, at each of its steps', async (t) => {
  const store = await createAgeStore(t);
  await store.insert('entry', Buffer.alloc(1_000_000, 'x'));
  const ends = new Set<string>();
  // As many turns of the event loop as the whole takes, and some more.
  for (let turns = 0; turns < 60; turns += 1) {
    const controller = new AbortController();
    const answering = fetch(store, 'entry', { signal: controller.signal });
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    ends.add((await answering).slice(0, 30));
  }
  t.ok(ends.delete('backend_timeout/timeout'));
  t.same(
    [...ends].filter((end) => end !== 'x'.repeat(30)),
    [],
  );
});

t.test('an entry that is being decrypted is given up between two of its chunks', async (t) => {
  const store = await createAgeStore(t);
  await store.insert('entry', Buffer.alloc(200_000, 'x'));
  const whole = abortedAtLook(Infinity);
  t.equal(await fetch(store, 'entry', { signal: whole.signal }), 'x'.repeat(200_000));
  const cut = abortedAtLook(whole.looks() - 1);
  t.equal(await fetch(store, 'entry', { signal: cut.signal }), 'backend_timeout/timeout');
  t.equal(cut.looks(), whole.looks(), 'one more, for the reason');
});

/** A signal that is aborted from a look at it on. */
function abortedAtLook(last: number) {
  let looks = 0;
  const signal: EndSignal = {
    reason: new Error('over'),
    get aborted() {
      looks += 1;
      return looks >= last;
    },
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
  };
  return { signal, looks: () => looks };
}

t.test(
  'others have their turn while an entry for many is decrypted, which is given up when time is over',
  async (t) => {
    const store = await createAgeStore(t);
    const other = await identityToRecipient(await generateX25519Identity());
    const entry = await encrypted('value', ...Array.from({ length: 300 }, () => other));
    writeFileSync(join(store.folder, 'entry.age'), entry);
    t.equal(await fetch(store, 'entry'), MISMATCH);
    writeFileSync(store.identityFile, `${store.identity}\n`.repeat(100));
    // All of it takes some seconds.
    t.equal(await fetch(store, 'entry', { signal: AbortSignal.timeout(200) }), 'backend_timeout/timeout');
  },
);

t.test('who asks no store of age does not load the package', (t) => {
  const hooks = `export function resolve(name, context, next) {
    if (name === 'age-encryption') process._rawDebug('loaded'); return next(name, context); }`;
  const api = new URL('../../src/api.ts', import.meta.url).href;
  const run = (ask: boolean): string => {
    const source = `
      const { register } = await import('node:module');
      register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}));
      const { SecretsApi } = await import('${api}');
      const stores = { red: { backend: 'age', root: '/', identity_file: '/dev/null' } };
      await SecretsApi.fromConfigData({ stores, refs: {}, policies: {} }).checkReady();
      if (${ask}) await import('age-encryption');`;
    const node = [...NODE, '--input-type=module', '--eval', source];
    const { stderr, status } = spawnSync(node[0]!, node.slice(1), { encoding: 'utf8' });
    t.equal(status, 0, stderr);
    return stderr;
  };
  t.match(run(true), 'loaded', 'the hook sees it');
  t.notMatch(run(false), 'loaded');
  t.end();
});

// --- the real age

interface RealAge {
  readonly folder: string;
  readonly recipient: string;
  /** Runs `age ARGS` with this input. */
  readonly run: (args: readonly string[], input: string | Buffer) => Buffer;
  readonly store: AgeStore;
}

/** A store whose identity is one of age-keygen's. */
async function withRealAge(t: Test): Promise<RealAge> {
  const store = await createAgeStore(t);
  const folder = temporaryFolder(t);
  const identityFile = join(folder, 'key.txt');
  execFileSync('age-keygen', ['-o', identityFile], { stdio: 'ignore' });
  const recipient = execFileSync('age-keygen', ['-y', identityFile], { encoding: 'utf8' }).trim();
  return {
    folder,
    recipient,
    run: (args, input) => execFileSync('age', args, { input, stdio: 'pipe', maxBuffer: 1 << 26 }),
    store: { ...store, identityFile },
  };
}

t.test('what the real age encrypts is read with an identity of the real age-keygen', { skip }, async (t) => {
  const { recipient, run, store } = await withRealAge(t);
  const other = await identityToRecipient(await generateX25519Identity());
  for (const content of ['value\n', '', Buffer.alloc(65_536, 'x'), Buffer.alloc(300_000, '\xff\0', 'latin1')]) {
    for (const args of [
      ['-r', recipient],
      ['-a', '-r', recipient],
      ['-r', other, '-r', recipient, '-r', other],
    ]) {
      writeFileSync(join(store.folder, 'entry.age'), run(args, content));
      const expected = Buffer.from(content).toString('latin1').replace(/\n$/, '');
      t.equal((await fetch(store, 'entry')) === expected, true, `${args.join(' ')}, ${content.length} bytes`);
    }
  }
  writeFileSync(join(store.folder, 'entry.age'), run(['-r', other], 'value'));
  t.equal(await fetch(store, 'entry'), MISMATCH);
});

t.test('what the package encrypts is read by the real age and by the daemon alike', { skip }, async (t) => {
  const { recipient, run, store } = await withRealAge(t);
  for (const content of ['value', Buffer.alloc(65_537, 'x')]) {
    const file = Buffer.from(await encrypted(content, recipient));
    writeFileSync(join(store.folder, 'entry.age'), file);
    const real = run(['-d', '-i', store.identityFile], file).toString('latin1');
    t.equal((await fetch(store, 'entry')) === real, true);
  }
});

t.test('an identity of the package opens for the real age what it opens for the daemon', { skip }, async (t) => {
  const store = await createAgeStore(t);
  chmodSync(store.identityFile, 0o600);
  const file = await store.insert('entry', 'value');
  t.equal(execFileSync('age', ['-d', '-i', store.identityFile, file]).toString(), 'value');
  t.equal(await fetch(store, 'entry'), 'value');
  const decrypter = new Decrypter();
  decrypter.addIdentity(store.identity);
  t.equal(await decrypter.decrypt(readFileSync(file), 'text'), 'value');
});

const sshKeygen = realComponent('ssh-keygen', onPath('ssh-keygen'));

t.test(
  'keys of ssh are not taken, and entries for them are for others',
  { skip: skipWithout(realAge(), sshKeygen) },
  async (t) => {
    const { folder, run, store } = await withRealAge(t);
    const key = join(folder, 'ssh');
    execFileSync(sshKeygen.file, ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    writeFileSync(join(store.folder, 'entry.age'), run(['-R', `${key}.pub`], 'value'));
    t.equal(await fetch(store, 'entry'), MISMATCH);
    const backend = open(store, { identityFile: key });
    t.equal(await fetch(store, 'entry', { backend }), 'backend_unavailable/identity_unusable');
  },
);

t.test('an identity file of age-keygen that was encrypted by age is locked', { skip }, async (t) => {
  const { folder, recipient, run, store } = await withRealAge(t);
  writeFileSync(join(store.folder, 'entry.age'), run(['-r', recipient], 'value'));
  for (const args of [
    ['-r', recipient],
    ['-a', '-r', recipient],
  ]) {
    const identityFile = writeFile(folder, 'key.age', run(args, readFileSync(store.identityFile)));
    const backend = open(store, { identityFile });
    t.equal(await fetch(store, 'entry', { backend }), 'backend_locked/identity_locked');
  }
});
