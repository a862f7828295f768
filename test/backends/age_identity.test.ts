import fc from 'fast-check';
import { generateX25519Identity, identityToRecipient, type Identity, Stanza } from 'age-encryption';
import t from 'tap';
import { decodeIdentity, readIdentityFile } from '../../src/backends/age_identity.js';
import { encrypted } from '../support/age_store.js';

/** The one stanza of a file that is encrypted to this identity, as the package wraps it. */
async function stanzaFor(identity: string): Promise<Stanza> {
  const file = Buffer.from(await encrypted('x', await identityToRecipient(identity))).toString('latin1');
  const [, args = '', body = ''] = /\n-> (.*)\n(.*)\n/.exec(file) ?? [];
  return new Stanza(args.split(' '), Buffer.from(body, 'base64'));
}

function identitiesIn(text: string): readonly Identity[] | string {
  const read = readIdentityFile(Buffer.from(text));
  return read.kind === 'identities' ? read.identities : read.kind;
}

function only(text: string): Identity {
  const identities = identitiesIn(text);
  if (typeof identities === 'string' || identities.length !== 1) throw new Error('not one identity');
  return identities[0]!;
}

t.test('an identity unwraps what the package has wrapped to it, and nothing else', async (t) => {
  for (let round = 0; round < 20; round += 1) {
    const text = await generateX25519Identity();
    const stanza = await stanzaFor(text);
    const other = await stanzaFor(await generateX25519Identity());
    const fileKey = await only(text).unwrapFileKey([new Stanza(['scrypt', 'x', '18'], Buffer.of(1)), other, stanza]);
    t.equal(fileKey?.length, 16);
    t.equal(await only(text).unwrapFileKey([other]), null);
    t.equal(await only(text).unwrapFileKey([]), null);
  }
});

t.test('a malformed stanza of its kind is an exception, as the format demands', async (t) => {
  const text = await generateX25519Identity();
  const { args, body } = await stanzaFor(text);
  const share = args[1]!;
  const identity = only(text);
  const zeros = Buffer.alloc(32).toString('base64').replace('=', '');
  for (const [name, stanza] of [
    ['no share', new Stanza(['X25519'], body)],
    ['one argument more', new Stanza([...args, 'x'], body)],
    ['a share that is too short', new Stanza(['X25519', share.slice(4)], body)],
    ['a share with padding', new Stanza(['X25519', `${share}=`], body)],
    ['a share that is no base64', new Stanza(['X25519', `${share.slice(1)}!`], body)],
    ['a body that is too short', new Stanza(args, body.subarray(1))],
    ['a share that makes the secret zero', new Stanza(['X25519', zeros], body)],
  ] as const) {
    t.throws(() => identity.unwrapFileKey([stanza]), name);
  }
});

t.test('an identity file has identities, empty lines and comments', async (t) => {
  const [one, two] = [await generateX25519Identity(), await generateX25519Identity()];
  for (const text of [
    one,
    `${one}\n`,
    `${one}\r\n`,
    `# created: 2026-01-01\n# public key: age1…\n${one}\n`,
    `\n\n \t\n  ${one}  \n#`,
  ]) {
    t.equal(identitiesIn(text).length, 1, JSON.stringify(text));
  }
  t.equal(identitiesIn(`${one}\n# second\n${two}\n`).length, 2);
});

t.test('a file that holds anything else is unusable as a whole', async (t) => {
  const good = await generateX25519Identity();
  for (const [name, text] of [
    ['nothing', ''],
    ['comments alone', '# none\n'],
    ['a key of ssh', '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n'],
    ['a recipient', await identityToRecipient(good)],
    ['a plugin', 'AGE-PLUGIN-YUBIKEY-1QQPQZQXZ'],
    ['a good one and something else', `${good}\nx\n`],
    ['lower case', good.toLowerCase()],
    ['an identity with a comment behind it', `${good} # mine`],
  ] as const) {
    t.equal(identitiesIn(text), 'unusable', name);
  }
});

t.test('a file that is itself encrypted is told apart', async (t) => {
  const file = Buffer.from(await encrypted('x', await identityToRecipient(await generateX25519Identity())));
  t.equal(readIdentityFile(file).kind, 'encrypted');
  t.equal(identitiesIn('-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n'), 'encrypted');
});

t.test('for all changes of one or two characters: a mistyped identity is none', async (t) => {
  const good = await generateX25519Identity();
  t.equal(decodeIdentity(Buffer.from(good))?.length, 32);
  const change = fc.record({ at: fc.nat(good.length - 1), to: fc.integer({ min: 0x21, max: 0x7e }) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 2 }), (changes) => {
      const text = Buffer.from(good);
      for (const { at, to } of changes) text[at] = to;
      fc.pre(text.toString() !== good);
      return decodeIdentity(text) === undefined;
    }),
    { numRuns: 2_000 },
  );
  t.equal(decodeIdentity(Buffer.from(good.slice(0, -1))), undefined);
  t.equal(decodeIdentity(Buffer.from(`${good}Q`)), undefined);
});

t.test('what an identity is decoded to is the key that the package has, whatever its bits', async (t) => {
  for (let round = 0; round < 50; round += 1) {
    const text = await generateX25519Identity();
    t.not(await only(text).unwrapFileKey([await stanzaFor(text)]), null);
  }
});

t.test('an identity whose padding is not zero is none', (t) => {
  // 32 zero bytes with their checksum, and the same with the last bit of the padding set: by the reference of BIP 173.
  const zeros = 'Q'.repeat(51);
  t.same(decodeIdentity(Buffer.from(`AGE-SECRET-KEY-1${zeros}Q8H00W3`)), Buffer.alloc(32));
  t.equal(decodeIdentity(Buffer.from(`AGE-SECRET-KEY-1${zeros}P6PM6NR`)), undefined);
  t.end();
});
