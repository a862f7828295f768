import { isUtf8 as nodesIsUtf8 } from 'node:buffer';
import fc from 'fast-check';
import t from 'tap';
import { allocateBriefBytes, allocateSecretBytes, copySecretBytes, isUtf8 } from '../../src/domain/secret_bytes.js';

t.test('a Buffer for a value is filled with zeros and shares its memory with no other, however small it is', (t) => {
  for (const length of [0, 1, 64, 65, 5_000]) {
    const bytes = allocateSecretBytes(length);
    t.ok(bytes.equals(Buffer.alloc(length)));
    t.match([bytes.byteOffset, bytes.buffer.byteLength], [0, length]);
  }
  t.end();
});

t.test('brief Buffers are filled with zeros, and no byte of one is a byte of another', (t) => {
  const all = Array.from({ length: 300 }, (_, index) => allocateBriefBytes((index * 37) % 3_000));
  for (const [index, bytes] of all.entries()) {
    t.ok(bytes.equals(Buffer.alloc((index * 37) % 3_000)));
    bytes.fill(index % 256);
  }
  t.ok(all.every((bytes, index) => bytes.every((byte) => byte === index % 256)));
  t.end();
});

t.test('bytes are copied to where they belong', (t) => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(20), fc.nat(20), (source, before, after) => {
      const target = Buffer.alloc(before + source.length + after, 1);
      copySecretBytes(source, target, before);
      return target.equals(Buffer.concat([Buffer.alloc(before, 1), source, Buffer.alloc(after, 1)]));
    }),
  );
  t.end();
});

t.test('UTF-8 is what Node takes for it', (t) => {
  const agrees = (bytes: Uint8Array): boolean => isUtf8(bytes) === nodesIsUtf8(bytes);
  // Each beginning of up to three bytes, with and without what may follow.
  const edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
  for (let first = 0; first <= 0xff; first += 1) {
    t.ok(agrees(Buffer.of(first)), String(first));
    for (const second of edges) {
      for (const third of edges) {
        for (const bytes of [[second], [second, third], [second, third, 0x80], [second, third, 0x80, 0x41]]) {
          if (!agrees(Buffer.of(first, ...bytes))) t.fail([first, ...bytes].join(' '));
        }
      }
    }
  }
  fc.assert(fc.property(fc.uint8Array(), agrees));
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(), (text, cut) => {
      const bytes = Buffer.from(text);
      return isUtf8(bytes) && agrees(bytes.subarray(0, cut % (bytes.length + 1)));
    }),
  );
  t.end();
});
