import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { SecretsApi } from '../../src/api.js';
import type { Backend } from '../../src/backends/backend.js';
import { gopassKind } from '../../src/backends/gopass.js';
import { CANARY, fakeProgram } from '../support/fake_gopass.js';
import { createGopassStore, type GopassStore } from '../support/gopass_store.js';
import { realGopass, realGpg, skipWithout } from '../support/real_component.js';
import { watchBuffers } from '../support/retained.js';
import { temporaryFolder } from '../support/temporary.js';

// Of the real gopass: what only a fake can show is in gopass_faults.test.ts.
const skip = skipWithout(realGopass(), realGpg());

/** Long enough for any machine, and shorter than the minute that gopass waits for a passphrase. */
const PATIENCE_MS = 30_000;

const NO_ENTRY = 'secret_not_found/entry_missing';
const NO_FIELD = 'secret_not_found/field_missing';

function open(store: GopassStore, environment: Record<string, string | undefined> = store.environment): Backend {
  const options = { binary: store.gopass };
  return gopassKind.open({ name: 'red', backend: 'gopass', root: 'mxm/red', options }, { environment });
}

const backends = new WeakMap<GopassStore, Backend>();

/** One for each store, so that not every fetch asks for the version too. */
function backendOf(store: GopassStore): Backend {
  const backend = backends.get(store) ?? open(store);
  backends.set(store, backend);
  return backend;
}

interface Question {
  readonly field?: string;
  readonly maxBytes?: number;
  readonly backend?: Backend;
}

/** The value byte by byte, or code and reason. */
async function fetch(store: GopassStore, location: string, question: Question = {}): Promise<string> {
  const { field, maxBytes = 1_048_576, backend = backendOf(store) } = question;
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const answer = await backend.fetch({ location, ...(field !== undefined && { field }), maxBytes, signal });
  return answer.ok ? answer.value.toString('latin1') : `${answer.code}/${answer.reason}`;
}

async function probe(store: GopassStore, environment?: Record<string, string | undefined>): Promise<string> {
  const answer = await open(store, environment).probe(AbortSignal.timeout(PATIENCE_MS));
  return answer.ok ? 'ready' : `${answer.code}/${answer.reason}`;
}

const latin1 = (text: string): string => Buffer.from(text).toString('latin1');

t.test('the value is the entry without its trailing line endings', { skip }, async (t) => {
  const store = createGopassStore(t);
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const cases: [string, string | Buffer, string][] = [
    ['a single line', 'value\n', 'value'],
    ['a line that does not end', 'value', 'value'],
    ['several lines', 'one\ntwo\n\nthree\n', 'one\ntwo\n\nthree'],
    ['several trailing line endings', 'value\n\n\n\n', 'value'],
    ['white space around', ' \tvalue \t\n', ' \tvalue \t'],
    ['an empty first line', '\n\nvalue\n', '\n\nvalue'],
    ['CRLF, which gopass turns into LF', 'one\r\ntwo\r\n', 'one\ntwo'],
    ['CR at the very end, which gopass drops too', 'one\rtwo\r', 'one\rtwo'],
    ['unicode', '\ufeffключ 🔑 e\u0301\u2028\n', latin1('\ufeffключ 🔑 e\u0301\u2028')],
    ['every byte', everyByte, everyByte.toString('latin1')],
    ['NUL', '\0\0\n', '\0\0'],
    ['YAML, which gopass would rewrite', 'pw\n---\nb:   1 # c\na: {x: 0123}\n', 'pw\n---\nb:   1 # c\na: {x: 0123}'],
    ['keys and values', 'pw\nuser: alice\nuser:  bob\nurl:x\n', 'pw\nuser: alice\nuser:  bob\nurl:x'],
    ['a one-time password', 'pw\notpauth://totp/x?secret=ABC\n', 'pw\notpauth://totp/x?secret=ABC'],
    ['a line of half a megabyte', `${'x'.repeat(500_000)}\n`, 'x'.repeat(500_000)],
    ['many lines', 'line\n'.repeat(10_000), 'line\n'.repeat(10_000).trimEnd()],
    ['nothing', '', ''],
    ['line endings alone', '\n\n\n', ''],
  ];
  for (const [name, content, value] of cases) {
    store.insert('mxm/red/entry', content);
    t.equal(await fetch(store, 'mxm/red/entry'), value, name);
  }
});

t.test('of whatever bytes, gopass turns CRLF into LF and the daemon changes nothing else', { skip }, async (t) => {
  const store = createGopassStore(t);
  const chunk = fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.constantFrom('\r\n', '\n', '\r', ' ').map((text) => Buffer.from(text)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 10 }), async (chunks) => {
      const content = Buffer.concat(chunks);
      store.insert('entry', content);
      const lines = content.toString('latin1').split('\n');
      const printed = lines.map((line) => `${line.replace(/\r$/, '')}\n`).join('');
      return (await fetch(store, 'entry')) === printed.replace(/(\r?\n)*$/, '');
    }),
    { numRuns: 25 },
  );
});

t.test(
  'an entry has at most the bytes that were allowed, its trailing line endings not counted',
  { skip },
  async (t) => {
    const store = createGopassStore(t);
    store.insert('entry', `${'x'.repeat(1_000)}\n\n\n`);
    t.equal(await fetch(store, 'entry', { maxBytes: 1_000 }), 'x'.repeat(1_000));
    t.equal(await fetch(store, 'entry', { maxBytes: 999 }), 'backend_failed/value_too_large');
    store.insert('entry', 'x'.repeat(100_000));
    t.equal(await fetch(store, 'entry', { maxBytes: 999 }), 'backend_failed/value_too_large');
    store.insert('entry', `pw\nuser: alice\n${'x'.repeat(1_000)}\n`);
    t.equal(await fetch(store, 'entry', { maxBytes: 1_000, field: 'user' }), 'backend_failed/value_too_large');
    t.equal(await fetch(store, 'entry', { maxBytes: 2_000, field: 'user' }), 'alice');
  },
);

t.test('a location may look like anything: an option, a command, a pattern', { skip }, async (t) => {
  const store = createGopassStore(t);
  const names = [
    '-n',
    '--help',
    '-',
    '--',
    'show',
    'a b',
    ' ',
    'ключ/🔑',
    "it's",
    '"',
    '$(id)',
    '`id`',
    '*',
    'a;b',
    'a\\b',
    '~',
    'x.gpg',
    'a:b',
    'UPPER',
  ];
  for (const name of names) store.insert(name, `value of ${name}`);
  for (const name of names) t.equal(await fetch(store, name), latin1(`value of ${name}`), name);
  t.equal(await fetch(store, '-absent'), NO_ENTRY);
  t.equal(await fetch(store, 'upper'), NO_ENTRY);
});

t.test('slashes before a location do not count, as gopass has it', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('mxm/red/entry', 'value');
  t.equal(await fetch(store, '/mxm/red/entry'), 'value');
  t.equal(await fetch(store, '/mxm/red'), NO_ENTRY);
  writeFileSync(join(store.mount('team'), 'entry.gpg'), store.encrypt('mounted'));
  t.equal(await fetch(store, '/team/entry'), 'mounted');
});

t.test('an entry that is not there is not found', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('mxm/red/entry', 'value');
  for (const location of ['mxm/red/other', 'other', 'mxm/red/entry/below', 'mxm/red/entry.gpg', 'mxm/red/Entry']) {
    t.equal(await fetch(store, location), NO_ENTRY, location);
  }
});

t.test('an entry that is gone or new since the last call is so for the next: nothing is kept', { skip }, async (t) => {
  const store = createGopassStore(t);
  const backend = open(store);
  const file = store.insert('entry', 'one');
  t.equal(await fetch(store, 'entry', { backend }), 'one');
  store.insert('entry', 'two');
  t.equal(await fetch(store, 'entry', { backend }), 'two');
  rmSync(file);
  t.equal(await fetch(store, 'entry', { backend }), NO_ENTRY);
});

t.test('a folder, of which gopass prints a tree, is no entry', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('mxm/red/deep/entry', 'value');
  mkdirSync(join(store.folder, 'empty'));
  mkdirSync(join(store.folder, 'strange.gpg'));
  for (const location of ['mxm', 'mxm/red', 'mxm/red/deep', 'empty', 'strange']) {
    t.equal(await fetch(store, location), NO_ENTRY, location);
  }
  t.match(store.run(['show', '-n', '--', 'mxm']).stdout.toString(), /^mxm\/\n└── /, 'what gopass prints');
});

t.test('a folder is no entry however much there is in it', { skip }, async (t) => {
  const store = createGopassStore(t);
  const folder = dirname(store.insert('mxm/red/entry', 'value'));
  for (let at = 0; at < 200; at += 1) writeFileSync(join(folder, `entry-of-a-longer-name-${at}.gpg`), '');
  t.ok(store.run(['show', '-n', '--', 'mxm/red']).stdout.length > 5_000, 'what gopass prints');
  t.equal(await fetch(store, 'mxm/red', { maxBytes: 100 }), NO_ENTRY);
  t.equal(await fetch(store, 'mxm/red', { maxBytes: 4_000 }), NO_ENTRY);
});

t.test('a folder is no entry whatever its name: gopass prints it as a format', { skip }, async (t) => {
  const store = createGopassStore(t);
  const names = ['50% off', '%', '%s', '%25', '100%%', 'a%*d/b', '%!', '%[1]q', 'ключ', 'x.gpg', 'a b', '-n'];
  for (const name of names) store.insert(`mxm/${name}/below`, 'value');
  for (const name of names) t.equal(await fetch(store, `mxm/${name}`), NO_ENTRY, name);
  t.match(store.run(['show', '-n', '--', 'mxm/50% off']).stdout.toString(), /^mxm\/50%!o\(/, 'what gopass prints');
  store.insert('mxm/50% off', 'the entry');
  t.equal(await fetch(store, 'mxm/50% off'), 'the entry', 'an entry of such a name is one');
});

t.test('a folder is no entry in colours either', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('mxm/red/entry', 'value');
  store.configure('core.nocolor', 'false');
  t.match(store.run(['show', '-n', '--', 'mxm']).stdout.toString(), /^\u001b/, 'what gopass prints');
  t.equal(await fetch(store, 'mxm'), NO_ENTRY);
});

t.test('a symlink that leads nowhere spoils what gopass lists, and nothing else', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('mxm/red/entry', 'value');
  for (const target of ['/nowhere', 'link']) {
    symlinkSync(target, join(store.folder, 'link'));
    t.equal(store.run(['ls', '--flat']).status, 13);
    t.equal(await fetch(store, 'mxm/red/entry'), 'value', target);
    t.equal(await fetch(store, 'mxm/red'), NO_ENTRY, target);
    t.equal(await fetch(store, 'mxm/absent'), NO_ENTRY, target);
    t.equal(await probe(store), 'ready', target);
    rmSync(join(store.folder, 'link'));
  }
});

t.test('of an entry and a folder of the same name the entry counts', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('both', 'the entry');
  store.insert('both/below', 'below');
  t.equal(await fetch(store, 'both'), 'the entry');
});

t.test('an entry whose content looks like a listing of itself is an entry', { skip }, async (t) => {
  const store = createGopassStore(t);
  for (const content of ['entry/\n└── below', 'entry/', 'entry/\n', 'entry', 'other\n├── below']) {
    store.insert('entry', content);
    t.equal(await fetch(store, 'entry'), latin1(content.trimEnd()));
  }
  store.insert('entry', 'entry/\n└── below');
  store.insert('entry/below', 'below');
  t.equal(await fetch(store, 'entry'), latin1('entry/\n└── below'), 'with a folder of the same name too');
});

t.test('a script in the place of gopass that closes descriptor 3 is told of', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('entry', 'value');
  const through = (script: string): Backend => {
    const { file } = fakeProgram(t, 'gopass', `${script}exec '${store.gopass}' "$@"`);
    return open({ ...store, gopass: file });
  };
  t.equal(await fetch(store, 'entry', { backend: through('') }), 'value');
  t.equal(await fetch(store, 'entry', { backend: through('exec 3>&-; ') }), 'backend_unavailable/other_program');
});

t.test('an entry of a mounted store is one, and the place of the mount is a folder', { skip }, async (t) => {
  const store = createGopassStore(t);
  const folder = store.mount('team');
  writeFileSync(join(folder, 'entry.gpg'), store.encrypt('mounted'));
  t.equal(await fetch(store, 'team/entry'), 'mounted');
  t.equal(await fetch(store, 'team/other'), NO_ENTRY);
  t.equal(await fetch(store, 'team'), NO_ENTRY);
  rmSync(folder, { recursive: true });
  t.match(await fetch(store, 'team/entry'), /^(secret_not_found|backend_unavailable|backend_failed)\//);
});

t.test('a field is what the real gopass prints of that key', { skip }, async (t) => {
  const store = createGopassStore(t);
  const entries = {
    lines: 'pw\nuser: alice\nUser: Alice\n  url : https://x: y\nuser: bob\nspace:  two \nnokey:x\n',
    crlf: 'pw\r\nuser: alice\r\nurl: x\r\n',
    yaml: 'pw\nuser: above\n---\nuser: "al\\tice"\nurl: https://x\nn: 12\ntext: |\n  one\n  two\n1: one\n',
    'yaml without password': '---\nuser: alice\n',
    'not yaml': 'pw\nuser: line\n---\n[user]: [\n',
    'unicode key': 'pw\nключ: 🔑\n',
  };
  const keys = ['user', 'User', 'url', 'space', 'nokey', 'n', 'text', '1', 'ключ'];
  for (const [name, content] of Object.entries(entries)) {
    store.insert(name, content);
    for (const field of ['absent', 'USER', ...keys.filter((key) => content.includes(key))]) {
      const real = store.run(['show', '--', name, field]);
      const expected = real.status === 0 ? real.stdout.toString('latin1').replace(/\n+$/, '') : NO_FIELD;
      t.equal(await fetch(store, name, { field }), expected, `${field} of ${name}`);
    }
  }
});

t.test('a field differs from what the real gopass prints of that key in these cases', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert(
    'entry',
    'pw\n---\noctal: 0123\ndate: 2001-01-01\nfloat: 1.10\nnothing: ~\nlist: [a, b]\nmap: { in: x }\n',
  );
  const real = (key: string): string => store.run(['show', '--', 'entry', key]).stdout.toString().trimEnd();
  const cases: [string, string, string][] = [
    ['octal', '0123', '83'],
    ['date', '2001-01-01', '2001-01-01 00:00:00 +0000 UTC'],
    ['float', '1.10', '1.1'],
    ['nothing', '~', '<nil>'],
    ['list', 'backend_failed/field_not_text', '[a b]'],
    ['map', 'backend_failed/field_not_text', 'map[in:x]'],
    ['password', 'pw', ''],
  ];
  for (const [field, ours, theirs] of cases) {
    t.equal(await fetch(store, 'entry', { field }), ours, field);
    t.equal(real(field), theirs, `${field} of gopass`);
  }
});

t.test('descriptors that have run out for gopass are no fault of the entry', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('entry', 'value');
  for (const left of [6, 8, 10, 11]) {
    const { file } = fakeProgram(t, 'gopass', `ulimit -n ${left}; exec '${store.gopass}' "$@"`);
    const backend = open({ ...store, gopass: file });
    t.equal(await fetch(store, 'entry', { backend }), 'backend_unavailable/cannot_start', String(left));
  }
});

t.test('neither the name of an entry nor what is in it is taken for a message of gopass', { skip }, async (t) => {
  const store = createGopassStore(t);
  const messages = [
    'entry is not in the password store',
    '": entry is not in the password store',
    '" not found',
    'No secret key',
    "can't connect to the agent",
    'pthread_create failed: Resource temporarily unavailable',
    '❌ Decryption failed: fork: too many open files',
    'x: too many open files',
  ];
  // Not to be compressed, and damaged at its end, so that gpg gives the message before it notices.
  const noise = randomBytes(20_000);
  for (const message of messages) {
    const content = ['', message, `Error: ${message}`, ''].join('\n');
    const file = store.insert(message, Buffer.concat([Buffer.from(content), noise, Buffer.from(content)]));
    writeFileSync(file, readFileSync(file).subarray(0, -1));
    t.ok(
      store.run(['show', '-n', '--', message]).stderr.includes(latin1(`\nError: ${message}\n`)),
      'what gopass prints',
    );
    t.equal(await fetch(store, message), 'backend_failed/decrypt_failed', message);
    t.equal(await fetch(store, `absent: ${message}`), NO_ENTRY, message);
  }
});

t.test('a damaged entry never gives a value, and nothing of it is told', { skip }, async (t) => {
  const store = createGopassStore(t);
  // Big and not to be compressed: gpg gives the first part of it before it notices.
  const content = Buffer.from(Array.from({ length: 4_000 }, (_, at) => `${CANARY}${(at * 7919) % 4001}`).join(''));
  const file = store.insert('entry', content);
  const whole = readFileSync(file);
  const damaged: [string, Buffer][] = [
    0,
    1,
    10,
    50,
    95,
    99,
    100,
    120,
    200,
    whole.length >> 1,
    whole.length - 1,
  ].flatMap((at) => {
    const flipped = Buffer.from(whole);
    flipped[at]! ^= 1;
    return [[`cut off at ${at}`, whole.subarray(0, at)] as const, [`another bit at ${at}`, flipped] as const].map(
      ([name, bytes]): [string, Buffer] => [name, bytes],
    );
  });
  damaged.push(
    ['plain text', Buffer.from(CANARY)],
    ['nothing but an armor', Buffer.from('-----BEGIN PGP MESSAGE-----')],
  );
  const buffers = watchBuffers(t);
  for (const [name, bytes] of damaged) {
    writeFileSync(file, bytes);
    const answer = await backendOf(store).fetch({
      location: 'entry',
      maxBytes: 1_048_576,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    // gopass may succeed with nothing: an empty value is refused by all who take one.
    t.ok(answer.ok ? answer.value.length === 0 : answer.code === 'backend_failed', `${name}: ${inspect(answer)}`);
    t.notMatch(inspect(answer, { depth: 9 }), CANARY);
  }
  t.equal(buffers.retaining(CANARY), 0);
  writeFileSync(file, whole.subarray(0, -1));
  t.match(store.run(['show', '-n', '--', 'entry']).stderr, CANARY, 'gopass itself may print plaintext');
});

t.test('what OpenPGP holds without encryption is no value, though gopass gives it', { skip }, async (t) => {
  const store = createGopassStore(t);
  const file = store.insert('entry', 'value');
  for (const [name, bytes] of Object.entries(store.unencrypted(`${CANARY}\n`))) {
    writeFileSync(file, bytes);
    t.match(store.run(['show', '-n', '--', 'entry']).stdout.toString(), CANARY, name);
    t.equal(await fetch(store, 'entry'), 'backend_failed/decrypt_failed', name);
  }
});

t.test('an entry may be encrypted to thousands of keys', { skip }, async (t) => {
  const store = createGopassStore(t);
  writeFileSync(store.insert('entry', ''), store.encryptToMany('value', 3_000));
  t.equal(await fetch(store, 'entry'), 'value');
});

t.test(
  'a file that cannot be read is no entry',
  { skip: skip || (process.getuid?.() === 0 && 'root may read every file') },
  async (t) => {
    const store = createGopassStore(t);
    chmodSync(store.insert('entry', 'value'), 0);
    t.equal(await fetch(store, 'entry'), NO_ENTRY);
  },
);

t.test('a locked key is told at once and not after the minute of a passphrase dialogue', { skip }, async (t) => {
  const store = createGopassStore(t);
  const key = store.createKey('protected', 'pass phrase');
  store.insert('entry', CANARY, key);
  store.lock();
  t.equal(await fetch(store, 'entry'), 'backend_locked/key_locked');
  store.unlock(key, 'pass phrase');
  t.equal(await fetch(store, 'entry'), CANARY, 'once the agent holds the passphrase');
  store.lock();
  t.equal(await fetch(store, 'entry'), 'backend_locked/key_locked');
});

t.test('an entry is not locked when one of its keys is open', { skip }, async (t) => {
  const store = createGopassStore(t);
  const key = store.createKey('protected', 'pass phrase');
  store.lock();
  writeFileSync(join(store.folder, 'entry.gpg'), store.encrypt('value', key, store.key));
  t.equal(await fetch(store, 'entry'), 'value');
});

t.test('a secret key that is not there is told from a locked one', { skip }, async (t) => {
  const store = createGopassStore(t);
  const locked = store.createKey('protected', 'pass phrase');
  const gone = store.createKey('gone');
  store.insert('gone', 'value', gone);
  writeFileSync(join(store.folder, 'either.gpg'), store.encrypt('value', gone, locked));
  store.deleteSecretKey(gone);
  store.lock();
  t.equal(await fetch(store, 'gone'), 'backend_failed/key_missing', 'whatever other keys are locked');
  t.equal(await fetch(store, 'either'), 'backend_locked/key_locked');
});

t.test('an entry that hides its keys is locked when all keys are', { skip }, async (t) => {
  const store = createGopassStore(t);
  const key = store.createKey('protected', 'pass phrase');
  writeFileSync(join(store.folder, 'entry.gpg'), store.encryptHidden('value', key));
  store.lock();
  t.equal(await fetch(store, 'entry'), 'backend_failed/decrypt_failed', 'an open key might have been the one');
  store.deleteSecretKey(store.key);
  t.equal(await fetch(store, 'entry'), 'backend_locked/key_locked');
  store.unlock(key, 'pass phrase');
  t.equal(await fetch(store, 'entry'), 'value');
});

t.test('an agent that is not there and may not be started is told', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('entry', 'value');
  store.forbidAgent();
  t.equal(await fetch(store, 'entry'), 'backend_unavailable/agent_unreachable');
});

t.test('an agent that has gone is started again', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('entry', 'value');
  store.killAgent();
  t.equal(await fetch(store, 'entry'), 'value');
});

t.test('a store that is not initialised for this user is told', { skip }, async (t) => {
  const store = createGopassStore(t, { initialise: false });
  t.equal(await fetch(store, 'entry'), 'backend_unavailable/not_initialised');
  t.equal(await probe(store), 'backend_unavailable/not_initialised');
  const { HOME, ...homeless } = store.environment;
  t.ok(HOME);
  t.equal(await fetch(store, 'entry', { backend: open(store, homeless) }), 'backend_unavailable/not_initialised');
});

t.test('a set-up that gopass cannot start with is told', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('entry', 'value');
  const withoutGpg = { ...store.environment, PATH: temporaryFolder(t) };
  t.equal(await fetch(store, 'entry', { backend: open(store, withoutGpg) }), 'backend_unavailable/cannot_start');
  t.equal(await probe(store, withoutGpg), 'backend_unavailable/cannot_start');
  const { PATH, ...withoutPath } = store.environment;
  t.ok(PATH);
  t.equal(await fetch(store, 'entry', { backend: open(store, withoutPath) }), 'backend_unavailable/cannot_start');
});

t.test('a store is ready when something could be decrypted', { skip }, async (t) => {
  const store = createGopassStore(t);
  t.equal(await probe(store), 'ready', 'even when it is empty');
  const key = store.createKey('protected', 'pass phrase');
  store.lock();
  t.equal(await probe(store), 'ready', 'one open key');
  store.deleteSecretKey(store.key);
  t.equal(await probe(store), 'backend_locked/key_locked');
  store.unlock(key, 'pass phrase');
  t.equal(await probe(store), 'ready');
});

t.test('without any gpg key a store may be ready still, as gopass may use age', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.deleteSecretKey(store.key);
  t.equal(await probe(store), 'ready');
});

t.test('the program is the one of PATH unless another one is named', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('entry', 'value');
  const folder = temporaryFolder(t);
  symlinkSync(store.gopass, join(folder, 'gopass'));
  const environment = { ...store.environment, PATH: `${folder}:${store.environment.PATH}` };
  const backend = gopassKind.open({ name: 'red', backend: 'gopass', root: 'mxm/red', options: {} }, { environment });
  t.equal(await fetch(store, 'entry', { backend }), 'value');
});

t.test('hazard: variables that send gopass to another store are not passed on', { skip }, async (t) => {
  const store = createGopassStore(t);
  const other = createGopassStore(t);
  store.insert('entry', 'right');
  // Readable with this user's key, so that nothing but the variable decides.
  writeFileSync(join(other.folder, 'entry.gpg'), store.encrypt('wrong'));
  const hostile = {
    PASSWORD_STORE_DIR: other.folder,
    GOPASS_CONFIG: '../../../etc/passwd',
    GOPASS_CONFIG_COUNT: '1',
    GOPASS_CONFIG_KEY_0: 'mounts.path',
    GOPASS_CONFIG_VALUE_0: other.folder,
  };
  t.equal(store.run(['show', '-n', '--', 'entry'], hostile).stdout.toString(), 'wrong\n', 'what gopass does with them');
  t.equal(await fetch(store, 'entry', { backend: open(store, { ...store.environment, ...hostile }) }), 'right');
});

t.test('hazard: variables that make gopass write secrets to a log are not passed on', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('entry', CANARY);
  const folder = temporaryFolder(t);
  const hostile = (name: string): Record<string, string> => ({
    GOPASS_DEBUG: '1',
    GOPASS_DEBUG_LOG: join(folder, name),
    GOPASS_DEBUG_LOG_SECRETS: 'true',
    GOPASS_CPU_PROFILE: join(folder, `${name}.cpu`),
    GOPASS_MEM_PROFILE: join(folder, `${name}.mem`),
  });
  store.run(['show', '-n', '--', 'entry'], hostile('control'));
  t.ok(existsSync(join(folder, 'control')), 'gopass itself heeds them');
  const backend = open(store, { ...store.environment, ...hostile('daemon') });
  t.equal(await fetch(store, 'entry', { backend }), CANARY);
  t.equal(await probe(store, { ...store.environment, ...hostile('daemon') }), 'ready');
  t.same(
    readdirSync(folder).filter((name) => name.startsWith('daemon')),
    [],
  );
});

t.test('hazard: an entry that refers to another one is its own text, whatever is configured', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('other', CANARY);
  store.insert('entry', 'gopass://other\n');
  store.configure('core.follow-references', 'true');
  t.equal(store.run(['show', '-n', '--', 'entry']).stdout.toString(), `${CANARY}\n`, 'what gopass does');
  t.equal(await fetch(store, 'entry'), 'gopass://other');
  t.equal(await fetch(store, 'entry', { field: 'password' }), 'gopass://other');

  store.configure('core.follow-references', 'false');
  writeFileSync(join(store.folder, 'config'), '[core]\n\tfollow-references = true\n');
  t.equal(
    store.run(['show', '-n', '--', 'entry']).stdout.toString(),
    `${CANARY}\n`,
    'the store itself can configure it',
  );
  t.equal(await fetch(store, 'entry'), 'gopass://other');
});

t.test('hazard: nothing is copied to a clipboard, whatever is configured', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('entry', CANARY);
  store.configure('show.autoclip', 'true');
  store.configure('core.cliptimeout', '0'); // no process that would clear it later
  const folder = temporaryFolder(t);
  const programs = ['xclip', 'xsel', 'wl-copy'].map((name) => fakeProgram(t, name, 'cat >>"$0.copied"', folder));
  const PATH = `${folder}:${store.environment.PATH}`;
  const copied = (): boolean => programs.some(({ file }) => existsSync(`${file}.copied`));
  t.equal(await fetch(store, 'entry', { backend: open(store, { ...store.environment, PATH }) }), CANARY);
  t.notOk(copied());
  store.run(['show', '-n', '--', 'entry'], { PATH });
  t.ok(copied(), 'gopass itself does copy');
});

t.test('hazard: content that gopass would hide or parse is shown, whatever is configured', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('entry', 'pw\nuser: alice\nunsafe-keys: user\n');
  store.configure('show.safecontent', 'true');
  t.equal(await fetch(store, 'entry'), 'pw\nuser: alice\nunsafe-keys: user');
});

t.test('hazard: no entry is ever written, neither a new one nor one that is there', { skip }, async (t) => {
  const store = createGopassStore(t);
  store.insert('mxm/red/entry', 'value');
  const snapshot = (): string[] =>
    readdirSync(store.folder, { recursive: true, encoding: 'utf8' }).map((name) => {
      const { mtimeNs, ino } = statSync(join(store.folder, name), { bigint: true });
      return [name, mtimeNs, ino].join(' ');
    });
  const before = snapshot();
  for (const location of ['mxm/red/entry', 'mxm/red', 'mxm/red/new', 'new', '-']) await fetch(store, location);
  await probe(store);
  t.same(snapshot(), before);
});

t.test(
  'hazard: a path with .., which gopass follows out of the store, is refused by the configuration',
  { skip },
  (t) => {
    const store = createGopassStore(t);
    writeFileSync(join(store.folder, '..', 'outside.gpg'), store.encrypt('outside'));
    t.equal(store.run(['show', '-n', '--', '../outside']).stdout.toString(), 'outside\n', 'what gopass does');
    for (const [root, path] of [
      ['mxm', '../../outside'],
      ['..', 'outside'],
      ['mxm/../..', 'outside'],
      ['mxm', 'a/./../b'],
      ['mxm', '/outside'],
    ]) {
      const data = {
        stores: { red: { backend: 'gopass', root } },
        refs: { key: { store: 'red', path, policy: 'open' } },
        policies: { open: { allowed_principals: [] } },
      };
      t.throws(() => SecretsApi.fromConfigData(data), { name: 'ConfigError' }, `${root} ${path}`);
    }
    t.end();
  },
);

t.test('as many at once as may be asked for each give their own value', { skip }, async (t) => {
  const store = createGopassStore(t);
  const names = Array.from({ length: 12 }, (_, at) => `entry-${at}`);
  for (const name of names) store.insert(name, `value of ${name}`);
  const backend = open(store);
  const values = await Promise.all(names.map((name) => fetch(store, name, { backend })));
  t.same(
    values,
    names.map((name) => `value of ${name}`),
  );
});
