import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { type DecryptionKey, decryptionKeys } from '../../src/backends/gpg_keys.js';
import { fakeProgram } from '../support/fake_gopass.js';
import { createGopassStore } from '../support/gopass_store.js';
import { onPath, realGpg } from '../support/real_component.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

const { skip } = realGpg();

/** The keys, or code and reason. */
async function ask(
  env: Readonly<Record<string, string>>,
  signal = new AbortController().signal,
): Promise<readonly DecryptionKey[] | string> {
  const answer = await decryptionKeys({ env }, signal);
  return answer.ok ? answer.keys : `${answer.code}/${answer.reason}`;
}

/** Whether each key is locked, in their order. */
function locks(asked: readonly DecryptionKey[] | string): readonly boolean[] | string {
  return typeof asked === 'string' ? asked : asked.map(({ locked }) => locked);
}

const MISSING = 'backend_unavailable/binary_missing';
const NO_AGENT = 'backend_unavailable/agent_unreachable';
const UNEXPECTED = 'backend_failed/unexpected_answer';

t.test(
  'a key without a passphrase is open, one with a passphrase locked until the agent holds it',
  { skip },
  async (t) => {
    const user = createGopassStore(t, { initialise: false });
    const protectedKey = user.createKey('protected', 'pass phrase');
    user.lock();
    const keys = await ask(user.environment);
    t.same(locks(keys), [false, true]);
    for (const { keyId } of keys as DecryptionKey[]) t.match(keyId, /^[0-9A-F]{16}$/);

    user.unlock(protectedKey, 'pass phrase');
    t.same(locks(await ask(user.environment)), [false, false]);
    user.lock();
    t.same(locks(await ask(user.environment)), [false, true]);
  },
);

t.test('the key ids are those of the parts that decrypt', { skip }, async (t) => {
  const user = createGopassStore(t, { initialise: false });
  const [key] = (await ask(user.environment)) as DecryptionKey[];
  t.not(user.key.fingerprint.slice(-16), key!.keyId, 'not that of the primary key, which certifies');
  t.match(user.recipientsOf(user.encrypt('x')), [key!.keyId]);
});

t.test('a key whose secret half is not there is none', { skip }, async (t) => {
  const user = createGopassStore(t, { initialise: false });
  const stub = user.createKey('stub');
  user.deleteSecretKey(user.createKey('deleted'));
  t.same(locks(await ask(user.environment)), [false, false]);
  rmSync(join(user.environment.GNUPGHOME, 'private-keys-v1.d', `${stub.keygrip}.key`));
  t.same(locks(await ask(user.environment)), [false], 'nor one of which nothing but a stub is left');
});

t.test('a keyring without any secret key has none', { skip }, async (t) => {
  const user = createGopassStore(t, { initialise: false });
  user.deleteSecretKey(user.key);
  t.same(await ask(user.environment), []);
});

t.test('an agent that is not running is started, where gpg may', { skip }, async (t) => {
  const user = createGopassStore(t, { initialise: false });
  user.killAgent();
  t.same(locks(await ask(user.environment)), [false]);
});

t.test('an agent that is not running and may not be started cannot be asked', { skip }, async (t) => {
  const user = createGopassStore(t, { initialise: false });
  user.forbidAgent();
  t.equal(await ask(user.environment), NO_AGENT);
});

t.test('nor can one that cannot be started', { skip }, async (t) => {
  const user = createGopassStore(t, { initialise: false });
  user.killAgent();
  writeFileSync(join(user.environment.GNUPGHOME, 'gpg.conf'), 'agent-program /no/agent\n');
  t.equal(await ask(user.environment), NO_AGENT);
});

t.test('without gpg or without the program that talks to its agent nothing can be asked', { skip }, async (t) => {
  const user = createGopassStore(t, { initialise: false });
  const PATH = temporaryFolder(t);
  t.equal(await ask({ ...user.environment, PATH }), MISSING);
  symlinkSync(onPath('gpg')!, join(PATH, 'gpg'));
  t.equal(await ask({ ...user.environment, PATH }), NO_AGENT);
  symlinkSync(onPath('gpg-connect-agent')!, join(PATH, 'gpg-connect-agent'));
  t.same(locks(await ask({ ...user.environment, PATH })), [false]);
});

t.test('a gpg that gives no listing tells in what way', async (t) => {
  for (const [script, expected] of [
    ['exit 2', UNEXPECTED],
    ['echo "gpg: problem with fast path key listing: No agent running" >&2; exit 2', NO_AGENT],
    ['kill -KILL $$', 'backend_failed/killed_by_signal'],
    ['yes', UNEXPECTED],
  ] as const) {
    const { file } = fakeProgram(t, 'gpg', script);
    t.equal(await ask({ PATH: `${dirname(file)}:${process.env['PATH'] ?? ''}` }), expected, script);
  }
});

t.test('an abort ends either question', async (t) => {
  for (const name of ['gpg', 'gpg-connect-agent']) {
    const PATH = temporaryFolder(t);
    fakeProgram(t, 'gpg', '', PATH);
    const asking = fakeProgram(t, name, 'note $$; exec sleep 1000', PATH);
    const controller = new AbortController();
    const asked = ask({ PATH: `${PATH}:${process.env['PATH'] ?? ''}` }, controller.signal);
    await asking.noted(1);
    controller.abort();
    t.equal(await asked, 'backend_timeout/timeout', name);
  }
});

t.test('what gpg and its agent print is read by the record, and nothing else is taken for a key', async (t) => {
  const PATH = temporaryFolder(t);
  const withOutput = async (listing: string, info: string): ReturnType<typeof ask> => {
    for (const [name, output] of [
      ['gpg', listing],
      ['gpg-connect-agent', info],
    ] as const) {
      const text = writeFile(PATH, `${name}.txt`, output);
      fakeProgram(t, name, `exec cat ${text}`, PATH);
    }
    return ask({ PATH: `${PATH}:${process.env['PATH'] ?? ''}` });
  };
  const listing = [
    'sec:u:255:22:AAAAAAAAAAAAAAAA:1700000000:::u:::scESC:::+::ed25519:::0:',
    'fpr:::::::::AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA:',
    'grp:::::::::GRIP_OF_A:',
    'uid:u::::1700000000::HASH::somebody:with:colons::::::::::0:',
    'ssb:u:255:18:BBBBBBBBBBBBBBBB:1700000000::::::e:::+::cv25519::',
    'grp:::::::::GRIP_OF_B:',
    'ssb:u:255:18:CCCCCCCCCCCCCCCC:1700000000::::::e:::#::cv25519::',
    'grp:::::::::GRIP_OF_C:',
    'ssb:u:4096:1:DDDDDDDDDDDDDDDD:1700000000::::::esa:::D2760001240102000006::::',
    'grp:::::::::GRIP_OF_D:',
    'ssb:u:4096:1:EEEEEEEEEEEEEEEE:1700000000::::::e',
    'grp:',
  ].join('\n');
  const info = [
    'S KEYINFO GRIP_OF_A D - - - P - - -',
    'S KEYINFO GRIP_OF_B D - - 1 P - - -',
    'S KEYINFO GRIP_OF_C D - - - P - - -',
    'S KEYINFO GRIP_OF_D T D2760001240102000006 OPENPGP.2 - - - - -',
    'S OTHER GRIP_OF_D D - - - P - - -',
    'S KEYINFO',
    'OK',
  ].join('\n');
  t.same(await withOutput(listing, info), [
    { keyId: 'BBBBBBBBBBBBBBBB', locked: false },
    { keyId: 'DDDDDDDDDDDDDDDD', locked: false },
    { keyId: 'EEEEEEEEEEEEEEEE', locked: false },
  ]);
  t.same(await withOutput(listing, info.replace('- - 1 P', '- - - P')), [
    { keyId: 'BBBBBBBBBBBBBBBB', locked: true },
    { keyId: 'DDDDDDDDDDDDDDDD', locked: false },
    { keyId: 'EEEEEEEEEEEEEEEE', locked: false },
  ]);
  t.same(await withOutput('', 'OK\n'), []);
  t.same(await withOutput('', 'ERR 67108891 Not found <GPG Agent>\n'), []);
  t.same(await withOutput('nonsense\n::::\ngrp\n', '\n\nS\nOK\n'), []);
  t.equal(await withOutput(listing, ''), NO_AGENT, 'no answer of the agent');
});
