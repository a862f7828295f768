import t from 'tap';
import { onDisk } from '../../src/os/disk.js';

t.test('of operations that hang only two are begun, and the others when those have ended', async (t) => {
  const begun: (() => void)[] = [];
  const hanging = Array.from({ length: 3 }, () => onDisk(() => new Promise<void>((resolve) => begun.push(resolve))));
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(begun.length, 2);
  begun[0]?.();
  await hanging[0];
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(begun.length, 3);
  for (const end of begun) end();
  await Promise.all(hanging);
});

t.test('an operation that fails is told, and makes room as well', async (t) => {
  for (let count = 0; count < 3; count += 1)
    await t.rejects(
      onDisk(() => Promise.reject(new Error('EIO'))),
      /EIO/,
    );
  t.equal(await onDisk(() => Promise.resolve('read')), 'read');
});
