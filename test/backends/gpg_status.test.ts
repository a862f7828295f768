import t from 'tap';
import { saysDecrypted, saysPassphrase, saysPlaintext } from '../../src/backends/gpg_status.js';

const DECRYPTED = '[GNUPG:] PLAINTEXT 62 0 \n[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] GOODMDC\n[GNUPG:] END_DECRYPTION\n';

t.test('gpg has decrypted where it says that the whole is as it was encrypted', (t) => {
  for (const [stderr, decrypted] of [
    [DECRYPTED, true],
    ['[GNUPG:] GOODMDC\n', true],
    ['', false],
    ['[GNUPG:] PLAINTEXT 62 0 \n[GNUPG:] PLAINTEXT_LENGTH 5\n', false],
    ['[GNUPG:] PLAINTEXT 62 0 \n[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] END_DECRYPTION\n', false], // --ignore-mdc-error
    ['[GNUPG:] GOODMDC', false],
    ['[GNUPG:] GOODMDC2\n', false],
    ['gpg: Good signature from "[GNUPG:] GOODMDC\n"', false],
  ] as const) {
    t.equal(saysDecrypted(Buffer.from(stderr)), decrypted, stderr);
  }
  t.end();
});

t.test('gpg has given something where it says so, decrypted or not', (t) => {
  for (const [stderr, given] of [
    [DECRYPTED, true],
    ['gpg: a message\n[GNUPG:] PLAINTEXT 62 0 \n', true],
    ['[GNUPG:] PLAINTEXT_LENGTH 5\n', false],
    ['gpg: "[GNUPG:] PLAINTEXT "', false],
    ['', false],
  ] as const) {
    t.equal(saysPlaintext(Buffer.from(stderr)), given, stderr);
  }
  t.end();
});

t.test('a passphrase decrypts where gpg says that it needs one', (t) => {
  for (const [stderr, needed] of [
    ['[GNUPG:] NEED_PASSPHRASE_SYM 9 3 2\n', true],
    ['[GNUPG:] ENC_TO 0123456789ABCDEF 18 0\n[GNUPG:] NEED_PASSPHRASE_SYM 9 3 2\n', true],
    ['[GNUPG:] NEED_PASSPHRASE 0123456789ABCDEF 0123456789ABCDEF 18 0\n', false],
    ['gpg: "[GNUPG:] NEED_PASSPHRASE_SYM "', false],
  ] as const) {
    t.equal(saysPassphrase(Buffer.from(stderr)), needed, stderr);
  }
  t.end();
});
