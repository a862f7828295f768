import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { readWiped } from '../../src/backends/wiped_pipe.js';
import { CANARY } from '../support/fake_gopass.js';

t.test('all that a child prints comes in order, through one Buffer that is wiped after each piece', async (t) => {
  const child = spawn('/bin/sh', ['-c', `yes "$0" | head -c 300000; sleep 0.05; printf last`, CANARY]);
  const pieces: Buffer[] = [];
  const copies: Buffer[] = [];
  const output = readWiped(child.stdout, (piece) => {
    pieces.push(piece);
    copies.push(Buffer.from(piece));
  });
  await Promise.all([once(output, 'close'), once(child, 'close')]);
  const all = Buffer.concat(copies).toString();
  t.equal(all, `${`${CANARY}\n`.repeat(20_000).slice(0, 300_000)}last`);
  t.equal(new Set(pieces.map(({ buffer }) => buffer)).size, 1);
  for (const piece of pieces) t.notOk(piece.some((byte) => byte !== 0));
});

t.test('a pipe that is let go of in the middle ends', async (t) => {
  const child = spawn('/bin/sh', ['-c', 'exec yes']);
  const output = readWiped(child.stdout, () => void output.destroy());
  await once(output, 'close');
  await once(child, 'close');
  t.not(child.exitCode, 0, 'nobody takes what it prints');
});
