import { Decrypter } from 'age-encryption';
import fc from 'fast-check';
import t from 'tap';
import { decryptPayload, payloadBytes } from '../../src/backends/age_payload.js';
import { createAgeStore, encrypted } from '../support/age_store.js';
import { watchBuffers } from '../support/retained.js';
import type { Ending } from '../support/temporary.js';

const CHUNK = 65_536;
const SEALED = CHUNK + 16;

const now = (): Promise<void> => Promise.resolve();

/** What the package has encrypted, taken apart. */
async function sealed(t: Ending, content: Uint8Array): Promise<{ fileKey: Uint8Array; payload: Buffer }> {
  const { identity, recipient } = await createAgeStore(t);
  const file = Buffer.from(await encrypted(content, recipient));
  const end = file.indexOf('\n', file.indexOf('\n--- ') + 1) + 1;
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return { fileKey: await decrypter.decryptHeader(file.subarray(0, end)), payload: file.subarray(end) };
}

t.test('for all lengths around chunks: what the package encrypts is decrypted', async (t) => {
  for (const length of [0, 1, 15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5]) {
    const content = Buffer.from(Array.from({ length }, (_, at) => (at * 7) % 256));
    const { fileKey, payload } = await sealed(t, content);
    t.equal(payload.length, payloadBytes(length));
    t.ok((await decryptPayload(fileKey, payload, now))?.equals(content), String(length));
  }
});

t.test('for all changes of a byte, and cut off anywhere: nothing is given', async (t) => {
  const { fileKey, payload } = await sealed(t, Buffer.alloc(CHUNK + 100, 'x'));
  await fc.assert(
    fc.asyncProperty(fc.nat(payload.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
      const changed = Buffer.from(payload);
      changed[at]! ^= by;
      return (
        (await decryptPayload(fileKey, changed, now)) === undefined &&
        (await decryptPayload(fileKey, payload.subarray(0, at), now)) === undefined
      );
    }),
    { numRuns: 100 },
  );
  for (const length of [0, 15, 16, 31, 16 + SEALED, 16 + SEALED + 16]) {
    t.equal(await decryptPayload(fileKey, payload.subarray(0, length), now), undefined, `cut off at ${length}`);
  }
  t.equal(await decryptPayload(fileKey, Buffer.concat([payload, Buffer.of(0)]), now), undefined, 'a byte more');
});

t.test('chunks in another order, left out or twice give nothing', async (t) => {
  const { fileKey, payload } = await sealed(t, Buffer.alloc(3 * CHUNK, 'x'));
  const nonce = payload.subarray(0, 16);
  const chunks = [0, 1, 2].map((index) => payload.subarray(16 + index * SEALED, 16 + (index + 1) * SEALED));
  for (const order of [[1, 0, 2], [0, 2], [0, 1], [0, 1, 1, 2], [2], [0, 1, 2, 2]]) {
    const changed = Buffer.concat([nonce, ...order.map((index) => chunks[index]!)]);
    t.equal(await decryptPayload(fileKey, changed, now), undefined, order.join());
  }
  const whole = await decryptPayload(fileKey, Buffer.concat([nonce, ...chunks]), now);
  t.equal(whole?.length, 3 * CHUNK);
});

t.test('what was decrypted is filled with zeros but for the answer, and all of it where it ends early', async (t) => {
  const { fileKey, payload } = await sealed(t, Buffer.alloc(3 * CHUNK, 'canary'));
  const buffers = watchBuffers(t);
  const whole = await decryptPayload(fileKey, payload, now);
  t.equal(buffers.retaining('canary'), 1);
  whole?.fill(0);
  let chunks = 0;
  const interrupted = decryptPayload(fileKey, payload, () => {
    chunks += 1;
    return chunks === 2 ? Promise.reject(new Error('time is up')) : Promise.resolve();
  });
  await t.rejects(interrupted, /time is up/);
  t.equal(buffers.retaining('canary'), 0);
});
