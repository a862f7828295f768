import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Backend } from '../../src/backends/backend.js';
import { gopassKind } from '../../src/backends/gopass.js';
import { passKind } from '../../src/backends/pass.js';
import { joinLocation } from '../../src/resolve.js';
import { CANARY, FAULTS, fakeProgram } from '../support/fake_gopass.js';
import { createGopassStore, type GopassStore } from '../support/gopass_store.js';
import { isRunning } from '../support/process_table.js';
import { onPath, realGopass, realGpg, skipWithout } from '../support/real_component.js';
import { watchBuffers } from '../support/retained.js';
import { temporaryFolder } from '../support/temporary.js';
import { until } from '../support/until.js';

const { skip } = realGpg();

/** Long enough for any machine, and shorter than the minute that gpg waits for a passphrase. */
const PATIENCE_MS = 30_000;

const NO_ENTRY = 'secret_not_found/entry_missing';

/** A user with a keyring and a folder of entries: neither pass nor gopass is needed for it. */
function createStore(t: Test): GopassStore {
  const store = createGopassStore(t, { initialise: false });
  mkdirSync(store.folder, { recursive: true, mode: 0o700 });
  return store;
}

interface Opening {
  readonly options?: Record<string, unknown>;
  readonly environment?: Record<string, string | undefined>;
  readonly root?: string;
}

function open(store: GopassStore, { options = {}, environment = store.environment, root }: Opening = {}): Backend {
  return passKind.open({ name: 'red', backend: 'pass', root: root ?? store.folder, options }, { environment });
}

interface Question {
  readonly field?: string;
  readonly maxBytes?: number;
  readonly backend?: Backend;
}

/** The value byte by byte, or code and reason. */
async function fetch(store: GopassStore, path: string, question: Question = {}): Promise<string> {
  const { backend = open(store), ...rest } = question;
  return fetchFrom(backend, joinLocation(store.folder, path), rest);
}

async function fetchFrom(
  backend: Backend,
  location: string,
  question: Omit<Question, 'backend'> = {},
): Promise<string> {
  const { field, maxBytes = 1_048_576 } = question;
  const answer = await backend.fetch({
    location,
    ...(field !== undefined && { field }),
    maxBytes,
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return answer.ok ? answer.value.toString('latin1') : `${answer.code}/${answer.reason}`;
}

/** What gpg itself decrypts of a file. */
function gpgGives({ environment: env }: GopassStore, file: string): string {
  return execFileSync('gpg', ['--batch', '--decrypt', file], { env, stdio: ['ignore', 'pipe', 'ignore'] }).toString();
}

async function probe(backend: Backend): Promise<string> {
  const answer = await backend.probe(AbortSignal.timeout(PATIENCE_MS));
  return answer.ok ? 'ready' : `${answer.code}/${answer.reason}`;
}

t.test('the value is the entry as it is stored, without its trailing line endings', { skip }, async (t) => {
  const store = createStore(t);
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const cases: [string, string | Buffer, string][] = [
    ['a single line', 'value\n', 'value'],
    ['several trailing line endings', 'one\n\ntwo\n\r\n\n', 'one\n\ntwo'],
    ['CRLF, which stays', 'one\r\ntwo\r\n', 'one\r\ntwo'],
    ['every byte', everyByte, everyByte.toString('latin1')],
    ['a line of half a megabyte', 'x'.repeat(500_000), 'x'.repeat(500_000)],
    ['nothing', '', ''],
  ];
  for (const [name, content, value] of cases) {
    store.insert('mxm/red/entry', content);
    t.equal(await fetch(store, 'mxm/red/entry'), value, name);
  }
});

/** Every shape of entry that password stores have. */
const SHAPES: Readonly<Record<string, string | Buffer>> = {
  line: 'value\n',
  'line without end': 'value',
  'many ends': 'value\n\n\n',
  lines: 'pw\nuser: alice\nUser: Alice\n  url : https://x: y\nuser: bob\nspace:  two \nnokey:x\n',
  'empty first line': '\nuser: alice\n',
  blanks: ' \tvalue \t\n',
  yaml: 'pw\n---\nuser: "al\\tice"\nn: 0123\nlist: [a, b]\ntext: |\n  one\n  two\n',
  'yaml without password': '---\nuser: alice\n',
  'not yaml': 'pw\nuser: line\n---\n[user]: [\n',
  otp: 'pw\notpauth://totp/x?secret=ABC\n',
  unicode: '\ufeffключ 🔑\nключ: 🔑\n',
  binary: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 0x0d)),
  nul: '\0\0\n',
};

t.test(
  'every shape of entry has the value that the backend gopass gives, whole and by field, but for what gopass rewrites',
  { skip: skip || skipWithout(realGopass()) },
  async (t) => {
    const store = createGopassStore(t);
    const gopass = gopassKind.open(
      { name: 'red', backend: 'gopass', root: 'mxm/red', options: { binary: store.gopass } },
      { environment: store.environment },
    );
    const pass = open(store, { root: join(store.folder, 'mxm/red') });
    const valuesOf = async (path: string, field?: string): Promise<string[]> =>
      Promise.all(
        (
          [
            [gopass, 'mxm/red'],
            [pass, join(store.folder, 'mxm/red')],
          ] as const
        ).map(async ([backend, root]) => {
          const answer = await backend.fetch({
            location: joinLocation(root, path),
            ...(field !== undefined && { field }),
            maxBytes: 1_048_576,
            signal: AbortSignal.timeout(PATIENCE_MS),
          });
          return answer.ok ? answer.value.toString('latin1') : `${answer.code}/${answer.reason}`;
        }),
      );
    for (const [name, content] of Object.entries(SHAPES)) {
      store.insert(`mxm/red/${name}`, content);
      for (const field of [undefined, 'password', 'user', 'absent', 'n', 'list', 'text', 'ключ']) {
        const [ofGopass, ofPass] = await valuesOf(name, field);
        t.equal(ofPass, ofGopass, `${name}, ${String(field)}`);
      }
    }
    store.insert('mxm/red/crlf', 'one\r\ntwo\r\n');
    t.same(await valuesOf('crlf'), ['one\ntwo', 'one\r\ntwo']);
    const old = 'Password: pw\nuser: alice\n\nbody';
    store.insert('mxm/red/old', `GOPASS-SECRET-1.0\n${old}\n`);
    t.same(await valuesOf('old'), [old, `GOPASS-SECRET-1.0\n${old}`]);

    const content = fc.array(fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.constant(Buffer.from('\n'))), {
      maxLength: 10,
    });
    await fc.assert(
      fc.asyncProperty(content, async (chunks) => {
        const bytes = Buffer.concat(chunks).filter((byte) => byte !== 0x0d);
        store.insert('mxm/red/any', bytes);
        const [ofGopass, ofPass] = await valuesOf('any');
        return ofPass === ofGopass;
      }),
      { numRuns: 15 },
    );
  },
);

t.test(
  'an entry has at most the bytes that were allowed, its trailing line endings not counted',
  { skip },
  async (t) => {
    const store = createStore(t);
    store.insert('entry', `${'x'.repeat(1_000)}\n\n\n`);
    t.equal(await fetch(store, 'entry', { maxBytes: 1_000 }), 'x'.repeat(1_000));
    t.equal(await fetch(store, 'entry', { maxBytes: 999 }), 'backend_failed/value_too_large');
    store.insert('entry', 'x'.repeat(1_000_000)); // compresses to next to nothing
    t.equal(await fetch(store, 'entry', { maxBytes: 999 }), 'backend_failed/value_too_large');
  },
);

t.test('what is no entry is not found: nothing, a folder, what leads out of the root', { skip }, async (t) => {
  const store = createStore(t);
  store.insert('mxm/entry', 'value');
  mkdirSync(join(store.folder, 'strange.gpg'));
  for (const path of ['other', 'mxm', 'mxm/entry.gpg', 'mxm/Entry', 'mxm/entry/below', 'strange']) {
    t.equal(await fetch(store, path), NO_ENTRY, path);
  }
  const outside = join(temporaryFolder(t), 'outside.gpg');
  writeFileSync(outside, store.encrypt('outside'));
  symlinkSync(outside, join(store.folder, 'link.gpg'));
  t.equal(await fetch(store, 'link'), NO_ENTRY);
  symlinkSync('mxm/entry.gpg', join(store.folder, 'alias.gpg'));
  t.equal(await fetch(store, 'alias'), 'value');
});

t.test('an entry is read whatever its name is', { skip }, async (t) => {
  const store = createStore(t);
  for (const name of ['-n', '--help', '-', ' ', 'ключ/🔑', '$(id)', '*', 'x.gpg']) {
    store.insert(name, `value of ${name}`);
    t.equal(await fetch(store, name), Buffer.from(`value of ${name}`).toString('latin1'), name);
  }
});

t.test('gpg gets the very file that was checked, even where another has taken its place', { skip }, async (t) => {
  const store = createStore(t);
  const file = store.insert('entry', 'right');
  const other = store.insert('other', 'wrong');
  const gpg = fakeProgram(t, 'gpg', `mv '${other}' '${file}'; exec ${onPath('gpg')!} "$@"`);
  const backend = open(store, { options: { gpg: gpg.file } });
  t.equal(await fetch(store, 'entry', { backend }), 'right');
  t.equal(await fetch(store, 'entry'), 'wrong');
});

t.test('a damaged entry never gives a value, and nothing of it is told', { skip }, async (t) => {
  const store = createStore(t);
  const content = Array.from({ length: 4_000 }, (_, at) => `${CANARY}${(at * 7919) % 4001}`).join('');
  const file = store.insert('entry', content);
  const whole = readFileSync(file);
  const buffers = watchBuffers(t);
  for (const at of [0, 1, 10, 50, 95, 99, 100, 120, 200, whole.length >> 1, whole.length - 1]) {
    const flipped = Buffer.from(whole);
    flipped[at]! ^= 1;
    for (const bytes of [whole.subarray(0, at), flipped]) {
      writeFileSync(file, bytes);
      const answer = await open(store).fetch({
        location: `${store.folder}/entry`,
        maxBytes: 1_048_576,
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      t.equal(answer.ok ? 'a value' : answer.code, 'backend_failed', `${at}: ${inspect(answer)}`);
      t.notMatch(inspect(answer, { depth: 9 }), CANARY);
    }
  }
  writeFileSync(file, CANARY);
  t.equal(await fetch(store, 'entry'), 'backend_failed/decrypt_failed', 'plain text');
  t.equal(buffers.retaining(CANARY), 0);
});

t.test('what OpenPGP holds without encryption is no value, though gpg gives it', { skip }, async (t) => {
  const store = createStore(t);
  const file = store.insert('entry', 'value');
  for (const [name, bytes] of Object.entries(store.unencrypted(`${CANARY}\n`))) {
    writeFileSync(file, bytes);
    t.match(gpgGives(store, file), CANARY, name);
    t.equal(await fetch(store, 'entry'), 'backend_failed/decrypt_failed', name);
  }
});

t.test('an entry may be encrypted to thousands of keys', { skip }, async (t) => {
  const store = createStore(t);
  writeFileSync(store.insert('entry', ''), store.encryptToMany('value', 3_000));
  t.equal(await fetch(store, 'entry'), 'value');
});

t.test('a locked key is told at once, an absent one is told from it', { skip }, async (t) => {
  const store = createStore(t);
  const key = store.createKey('protected', 'pass phrase');
  const gone = store.createKey('gone');
  store.insert('locked', 'value', key);
  store.insert('gone', 'value', gone);
  store.deleteSecretKey(gone);
  store.lock();
  t.equal(await fetch(store, 'locked'), 'backend_locked/key_locked');
  t.equal(await fetch(store, 'gone'), 'backend_failed/key_missing');
  store.unlock(key, 'pass phrase');
  t.equal(await fetch(store, 'locked'), 'value');
});

t.test('an agent that cannot be reached is told', { skip }, async (t) => {
  const store = createStore(t);
  store.insert('entry', 'value');
  store.forbidAgent();
  t.equal(await fetch(store, 'entry'), 'backend_unavailable/agent_unreachable');
  t.equal(await probe(open(store)), 'backend_unavailable/agent_unreachable');
});

t.test('a store is ready when something could be decrypted', { skip }, async (t) => {
  const store = createStore(t);
  t.equal(await probe(open(store)), 'ready');
  const key = store.createKey('protected', 'pass phrase');
  store.lock();
  t.equal(await probe(open(store)), 'ready', 'one open key');
  store.deleteSecretKey(store.key);
  t.equal(await probe(open(store)), 'backend_locked/key_locked');
  store.deleteSecretKey(key);
  t.equal(await probe(open(store)), 'backend_failed/key_missing');
  rmSync(store.folder, { recursive: true });
  t.equal(await probe(open(store)), 'backend_unavailable/root_missing');
  t.equal(await fetch(store, 'entry'), 'backend_unavailable/root_missing');
});

t.test('gnupghome names the keyring, relative to the folder of the store', { skip }, async (t) => {
  const store = createStore(t);
  store.insert('entry', 'value');
  const { GNUPGHOME, ...environment } = store.environment;
  const named = passKind.open(
    { name: 'red', backend: 'pass', root: store.folder, folder: dirname(GNUPGHOME), options: { gnupghome: 'g' } },
    { environment },
  );
  t.equal(await fetch(store, 'entry', { backend: named }), 'value');
  t.equal(await probe(named), 'ready');
});

t.test('gpg is the one of PATH unless another one is named', { skip }, async (t) => {
  const store = createStore(t);
  store.insert('entry', 'value');
  const folder = temporaryFolder(t);
  const environment = { ...store.environment, PATH: folder };
  const backend = open(store, { environment });
  const missing = 'backend_unavailable/binary_missing';
  t.equal(await fetch(store, 'entry', { backend }), missing);
  t.equal(await probe(backend), missing);
  symlinkSync(onPath('gpg')!, join(folder, 'gpg'));
  t.equal(await fetch(store, 'entry', { backend }), 'value', 'found once it is there');
  symlinkSync(onPath('gpg-connect-agent')!, join(folder, 'gpg-connect-agent'));
  t.equal(await probe(backend), 'ready');

  const elsewhere = { ...store.environment, PATH: temporaryFolder(t) };
  const named = open(store, { environment: elsewhere, options: { gpg: join(folder, 'gpg') } });
  t.equal(await fetch(store, 'entry', { backend: named }), 'value');
  t.equal(await probe(named), 'ready', 'and what belongs to it is found beside it');
  renameSync(join(folder, 'gpg'), join(folder, 'no-gpg'));
  t.equal(await fetch(store, 'entry', { backend: named }), missing);
});

t.test('a script in the place of gpg that closes descriptor 3 is told of', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('entry', 'value');
  const through = (script: string): Backend => {
    const { file: gpg } = fakeProgram(t, 'gpg', `${script}exec '${onPath('gpg')}' "$@"`);
    return open(store, { options: { gpg } });
  };
  t.equal(await fetch(store, 'entry', { backend: through('') }), 'value');
  t.equal(await fetch(store, 'entry', { backend: through('exec 3>&-; ') }), 'backend_unavailable/other_program');
});

t.test('a gpg that is missing, cannot be started or is another program is told alike by probe and fetch', async (t) => {
  const root = temporaryFolder(t);
  writeFileSync(join(root, 'entry.gpg'), '');
  const other = (script: string): string =>
    fakeProgram(t, 'gpg', `[ "$1" != --version ] || { echo 'age v1.1.1'; exit; }\n${script}`).file;
  for (const [gpg, expected] of [
    [join(root, 'no-gpg'), 'backend_unavailable/binary_missing'],
    [root, 'backend_unavailable/cannot_start'],
    [join(root, 'entry.gpg'), 'backend_unavailable/cannot_start'],
    [other(''), 'backend_unavailable/other_program'],
    [other('echo "$@"'), 'backend_unavailable/other_program'],
    [other('echo usage >&2; exit 1'), 'backend_unavailable/other_program'],
    [fakeProgram(t, 'gpg', 'exit 1').file, 'backend_failed/unexpected_answer'],
  ] as const) {
    const backend = passKind.open(
      { name: 'red', backend: 'pass', root, options: { gpg } },
      { environment: process.env },
    );
    t.equal(await probe(backend), expected);
    t.equal(await fetchFrom(backend, join(root, 'entry')), expected);
  }
});

t.test('whatever gpg.conf says, the value is what comes', { skip }, async (t) => {
  const store = createStore(t);
  store.insert('entry', 'value');
  const file = join(store.environment.HOME, 'elsewhere');
  writeFileSync(
    join(store.environment.GNUPGHOME, 'gpg.conf'),
    `output ${file}\nverbose\nkeyserver-options auto-key-retrieve\n`,
  );
  t.equal(await fetch(store, 'entry'), 'value');
});

t.test('for each fault of gpg: its code and reason, and no trace of what it printed', { skip }, async (t) => {
  const store = createStore(t);
  store.insert('entry', 'value');
  const buffers = watchBuffers(t);
  for (const [name, { script, code, reason, endless }] of Object.entries(FAULTS)) {
    const gpg = fakeProgram(t, 'gpg', script);
    const controller = new AbortController();
    const answering = open(store, { options: { gpg: gpg.file } }).fetch({
      location: `${store.folder}/entry`,
      maxBytes: 1_000,
      signal: controller.signal,
    });
    if (endless !== undefined) {
      await gpg.noted(endless);
      controller.abort();
    }
    const answer = await answering;
    t.same(answer, { ok: false, code, reason }, name);
    for (const pid of endless === undefined || name.includes('left the group') ? [] : await gpg.noted(endless)) {
      await until(() => !isRunning(pid));
    }
  }
  t.ok(buffers.seen() > 0);
  t.equal(buffers.retaining(CANARY), 0);
});

t.test('an aborted probe is a timeout', { skip }, async (t) => {
  const store = createStore(t);
  t.same(await open(store).probe(AbortSignal.abort()), { ok: false, code: 'backend_timeout', reason: 'timeout' });
});

t.test('a root below $CREDENTIALS_DIRECTORY needs that to be set', { skip }, async (t) => {
  const store = createStore(t);
  store.insert('entry', 'value');
  const root = '$CREDENTIALS_DIRECTORY';
  const missing = 'backend_unavailable/credentials_missing';
  t.equal(await probe(open(store, { root })), missing);
  const credentials = temporaryFolder(t);
  cpSync(store.folder, credentials, { recursive: true });
  const backend = open(store, { root, environment: { ...store.environment, CREDENTIALS_DIRECTORY: credentials } });
  const answer = await backend.fetch({
    location: `${root}/entry`,
    maxBytes: 100,
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  t.equal(answer.ok && answer.value.toString(), 'value');
});

t.test(
  'in a worker, which Node watches for descriptors that it does not know, there is nothing to warn of',
  async (t) => {
    const root = temporaryFolder(t);
    writeFileSync(join(root, 'entry.gpg'), '');
    const { file: gpg } = fakeProgram(t, 'gpg', "echo '[GNUPG:] GOODMDC' >&3; echo value");
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
    const warnings = [];
    process.on('warning', ({ message }) => warnings.push(message));
    import('tsx/esm/api').then(async ({ tsImport }) => {
      const { passKind } = await tsImport(workerData.module, workerData.module);
      const backend = passKind.open(workerData.store, { environment: {} });
      const { value } = await backend.fetch({ ...workerData.request, signal: new AbortController().signal });
      setImmediate(() => parentPort.postMessage([String(value), ...warnings]));
    });`,
      {
        eval: true,
        workerData: {
          module: new URL('../../src/backends/pass.ts', import.meta.url).href,
          store: { name: 'red', backend: 'pass', root, options: { gpg } },
          request: { location: join(root, 'entry'), maxBytes: 100 },
        },
      },
    );
    t.same(await once(worker, 'message'), [['value']]);
    await worker.terminate();
  },
);
