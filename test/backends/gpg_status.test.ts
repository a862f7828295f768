import t from 'tap';
import {
  recipientsIn,
  saysDamaged,
  saysDecrypted,
  saysPassphrase,
  saysPlaintext,
} from '../../src/backends/gpg_status.js';

const DECRYPTED = '[GNUPG:] PLAINTEXT 62 0 \n[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] GOODMDC\n[GNUPG:] END_DECRYPTION\n';

t.test('gpg has decrypted where it says that the whole is as it was encrypted', (t) => {
  for (const [said, decrypted] of [
    [DECRYPTED, true],
    ['[GNUPG:] GOODMDC\n', true],
    ['', false],
    ['[GNUPG:] PLAINTEXT 62 0 \n[GNUPG:] PLAINTEXT_LENGTH 5\n', false],
    ['[GNUPG:] PLAINTEXT 62 0 \n[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] END_DECRYPTION\n', false], // --ignore-mdc-error
    ['[GNUPG:] GOODMDC', false],
    ['[GNUPG:] GOODMDC2\n', false],
    ['[GNUPG:] GOODSIG 0123456789ABCDEF [GNUPG:] GOODMDC\n', false],
  ] as const) {
    t.equal(saysDecrypted(Buffer.from(said)), decrypted, said);
  }
  t.end();
});

t.test('gpg has given something where it says so, decrypted or not', (t) => {
  for (const [said, given] of [
    [DECRYPTED, true],
    ['[GNUPG:] ENC_TO 0123456789ABCDEF 18 0\n[GNUPG:] PLAINTEXT 62 0 \n', true],
    ['[GNUPG:] PLAINTEXT_LENGTH 5\n', false],
    ['[GNUPG:] GOODSIG 0123456789ABCDEF [GNUPG:] PLAINTEXT 62 0 \n', false],
    ['', false],
  ] as const) {
    t.equal(saysPlaintext(Buffer.from(said)), given, said);
  }
  t.end();
});

t.test('a passphrase decrypts where gpg says that it needs one', (t) => {
  for (const [said, needed] of [
    ['[GNUPG:] NEED_PASSPHRASE_SYM 9 3 2\n', true],
    ['[GNUPG:] ENC_TO 0123456789ABCDEF 18 0\n[GNUPG:] NEED_PASSPHRASE_SYM 9 3 2\n', true],
    ['[GNUPG:] NEED_PASSPHRASE 0123456789ABCDEF 0123456789ABCDEF 18 0\n', false],
    ['[GNUPG:] GOODSIG 0123456789ABCDEF [GNUPG:] NEED_PASSPHRASE_SYM \n', false],
  ] as const) {
    t.equal(saysPassphrase(Buffer.from(said)), needed, said);
  }
  t.end();
});

t.test('an entry is damaged where gpg says that it could not decrypt it, or found no message', (t) => {
  for (const [said, damaged] of [
    ['[GNUPG:] NODATA 3\n', true],
    ['[GNUPG:] BADMDC\n[GNUPG:] DECRYPTION_FAILED\n', true],
    [DECRYPTED, false],
    ['[GNUPG:] GOODSIG 0123456789ABCDEF [GNUPG:] NODATA 3\n', false],
  ] as const) {
    t.equal(saysDamaged(Buffer.from(said)), damaged, said);
  }
  t.end();
});

t.test('the recipients of an entry are those that gpg names, each once', (t) => {
  const [one, other] = ['0123456789ABCDEF', '0000000000000000'];
  const said = [one, other, one].map((keyId) => `[GNUPG:] ENC_TO ${keyId} 18 0\n`).join('');
  t.same([...recipientsIn(Buffer.from(said + DECRYPTED))], [one, other]);
  t.same([...recipientsIn(Buffer.from(DECRYPTED))], []);
  t.end();
});
