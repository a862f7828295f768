import fc from 'fast-check';
import { generateX25519Identity, identityToRecipient, type Identity, Stanza } from 'age-encryption';
import t from 'tap';
import { decodeIdentity, identityOf, type NativeIdentity, readIdentityFile } from '../../src/backends/age_identity.js';
import { encrypted } from '../support/age_store.js';

/** The one stanza of a file that is encrypted to this identity, as the package wraps it. */
async function stanzaFor(identity: string): Promise<Stanza> {
  const file = Buffer.from(await encrypted('x', await identityToRecipient(identity))).toString('latin1');
  const [, args = '', body = ''] = /\n-> (.*)\n(.*)\n/.exec(file) ?? [];
  return new Stanza(args.split(' '), Buffer.from(body, 'base64'));
}

const atOnce = (): Promise<void> => Promise.resolve();

async function identitiesIn(text: string): Promise<readonly NativeIdentity[] | string> {
  const read = await readIdentityFile(Buffer.from(text), atOnce);
  return read.kind === 'identities' ? read.identities : read.kind;
}

async function only(text: string): Promise<Identity> {
  const identities = await identitiesIn(text);
  if (typeof identities === 'string' || identities.length !== 1) throw new Error('not one identity');
  return identityOf(identities, atOnce);
}

/** Counts its calls, and throws at one of them. */
function pauses(last = Infinity): { readonly betweenPieces: () => Promise<void>; readonly count: () => number } {
  let count = 0;
  const betweenPieces = (): Promise<void> => {
    count += 1;
    return count < last ? Promise.resolve() : Promise.reject(new Error('no more'));
  };
  return { betweenPieces, count: () => count };
}

t.test('an identity unwraps what the package has wrapped to it, and nothing else', async (t) => {
  for (let round = 0; round < 20; round += 1) {
    const text = await generateX25519Identity();
    const stanza = await stanzaFor(text);
    const other = await stanzaFor(await generateX25519Identity());
    const identity = await only(text);
    const fileKey = await identity.unwrapFileKey([new Stanza(['scrypt', 'x', '18'], Buffer.of(1)), other, stanza]);
    t.equal(fileKey?.length, 16);
    t.equal(await identity.unwrapFileKey([other]), null);
    t.equal(await identity.unwrapFileKey([]), null);
  }
});

t.test('a malformed stanza of its kind is an exception, as the format demands', async (t) => {
  const text = await generateX25519Identity();
  const { args, body } = await stanzaFor(text);
  const share = args[1]!;
  const identity = await only(text);
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
    await t.rejects(async () => identity.unwrapFileKey([stanza]), name);
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
    t.equal((await identitiesIn(text)).length, 1, JSON.stringify(text));
  }
  t.equal((await identitiesIn(`${one}\n# second\n${two}\n`)).length, 2);
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
    t.equal(await identitiesIn(text), 'unusable', name);
  }
});

t.test('a file that is itself encrypted is told apart', async (t) => {
  const file = Buffer.from(await encrypted('x', await identityToRecipient(await generateX25519Identity())));
  t.equal((await readIdentityFile(file, atOnce)).kind, 'encrypted');
  t.equal(await identitiesIn('-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n'), 'encrypted');
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

t.test('many identities and many stanzas take pauses, however both are many, and a few take none', async (t) => {
  const mine = await generateX25519Identity();
  const [own, other] = [await stanzaFor(mine), await stanzaFor(await generateX25519Identity())];
  const pausesOf = async (identities: number, stanzas: number): Promise<[number, number]> => {
    const [reading, unwrapping] = [pauses(), pauses()];
    const read = await readIdentityFile(Buffer.from(`${mine}\n`.repeat(identities)), reading.betweenPieces);
    if (read.kind !== 'identities') throw new Error(read.kind);
    const all = identityOf(read.identities, unwrapping.betweenPieces);
    t.equal(await all.unwrapFileKey(Array.from({ length: stanzas }, () => other)), null);
    return [reading.count(), unwrapping.count()];
  };
  t.same(await pausesOf(1, 8), [0, 0]);
  t.same(await pausesOf(8, 1), [0, 0]);
  t.same(await pausesOf(1, 41), [0, 5]);
  t.same(await pausesOf(41, 1), [5, 5]);
  t.same(await pausesOf(4, 5), [0, 2]);

  const identity = (await identitiesIn(mine)) as readonly NativeIdentity[];
  const { betweenPieces, count } = pauses(2);
  const stanzas = [...Array.from({ length: 100 }, () => other), own];
  await t.rejects(async () => identityOf(identity, betweenPieces).unwrapFileKey(stanzas), { message: 'no more' });
  t.equal(count(), 2);
});

t.test('what an identity is decoded to is the key that the package has, whatever its bits', async (t) => {
  for (let round = 0; round < 50; round += 1) {
    const text = await generateX25519Identity();
    t.not(await (await only(text)).unwrapFileKey([await stanzaFor(text)]), null);
  }
});

t.test('an identity whose padding is not zero is none', (t) => {
  // 32 zero bytes with their checksum, and the same with the last bit of the padding set: by the reference of BIP 173.
  const zeros = 'Q'.repeat(51);
  t.same(decodeIdentity(Buffer.from(`AGE-SECRET-KEY-1${zeros}Q8H00W3`)), Buffer.alloc(32));
  t.equal(decodeIdentity(Buffer.from(`AGE-SECRET-KEY-1${zeros}P6PM6NR`)), undefined);
  t.end();
});
