import { createCipheriv, randomBytes } from 'node:crypto';
import t from 'tap';
import {
  deriveKey,
  KEY_BYTES,
  multiply,
  NO_NONCE,
  pointOf,
  publicKeyOf,
  secretKeyOf,
  unseal,
} from '../../src/backends/age_crypto.js';

function seal(key: Buffer, text: string): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, NO_NONCE, { authTagLength: 16 });
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

t.test('two who know the public keys of each other share a secret', (t) => {
  const [one, other] = [secretKeyOf(randomBytes(KEY_BYTES)), secretKeyOf(randomBytes(KEY_BYTES))];
  const shared = multiply(one, pointOf(publicKeyOf(other)));
  t.same(shared, multiply(other, pointOf(publicKeyOf(one))));
  t.equal(shared.length, KEY_BYTES);
  t.end();
});

t.test('the curve is X25519: what its author multiplies comes out', (t) => {
  // RFC 7748, 5.2: the first iteration of the number 9 on the point 9.
  const nine = Buffer.from('09'.padEnd(64, '0'), 'hex');
  const product = multiply(secretKeyOf(nine), pointOf(nine)).toString('hex');
  t.equal(publicKeyOf(secretKeyOf(nine)).toString('hex'), product, 'the point 9 is what public keys are made of');
  t.equal(product, '422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079');
  t.end();
});

t.test('a point whose product would be zero is refused', (t) => {
  t.throws(() => multiply(secretKeyOf(randomBytes(KEY_BYTES)), pointOf(Buffer.alloc(KEY_BYTES))));
  t.end();
});

t.test('keys are derived by HKDF with SHA-256', (t) => {
  // RFC 5869, A.3: the first 32 bytes.
  const key = deriveKey(Buffer.alloc(22, 0x0b), Buffer.alloc(0), '');
  t.equal(key.toString('hex'), '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d');
  t.end();
});

t.test('what was sealed is opened by its key alone, and only as it was', (t) => {
  const key = randomBytes(KEY_BYTES);
  const sealed = seal(key, 'text');
  t.equal(unseal(key, NO_NONCE, sealed)?.toString(), 'text');
  t.equal(unseal(randomBytes(KEY_BYTES), NO_NONCE, sealed), undefined);
  t.equal(unseal(key, Buffer.alloc(12, 1), sealed), undefined);
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Buffer.from(sealed);
    changed[at]! ^= 1;
    t.equal(unseal(key, NO_NONCE, changed), undefined);
  }
  t.end();
});

t.test('errors have their traces afterwards', (t) => {
  const { stackTraceLimit } = Error;
  unseal(randomBytes(KEY_BYTES), NO_NONCE, Buffer.alloc(32));
  t.throws(() => secretKeyOf(Buffer.alloc(3)));
  t.equal(Error.stackTraceLimit, stackTraceLimit);
  t.end();
});
