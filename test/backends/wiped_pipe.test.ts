import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, writeSync } from 'node:fs';
import t from 'tap';
import { readWiped, type WipedPipe, wipedPipe } from '../../src/backends/wiped_pipe.js';
import { type Native, native } from '../../src/os/native.js';
import { CANARY } from '../support/fake_gopass.js';
import type { Ending } from '../support/temporary.js';
import { until } from '../support/until.js';

interface Taken {
  readonly pieces: Buffer[];
  readonly text: () => string;
  take: (piece: Buffer) => void;
}

/** Keeps the pieces, which must have been wiped, and copies of them. */
function collect(): Taken {
  const pieces: Buffer[] = [];
  const copies: Buffer[] = [];
  return {
    pieces,
    text: () => Buffer.concat(copies).toString(),
    take(piece) {
      pieces.push(piece);
      copies.push(Buffer.from(piece));
    },
  };
}

interface Opened {
  readonly pipe: WipedPipe;
  readonly taken: Taken;
  readonly reading: number;
  readonly write: (text: string) => void;
  readonly end: () => void;
}

function open(t: Ending): Opened {
  const ends = (native as Native).pipe()!;
  const taken = collect();
  const pipe = wipedPipe(ends.reading, (piece) => taken.take(piece), native as Native);
  let writing: number | undefined = ends.writing;
  const end = (): void => {
    if (writing !== undefined) closeSync(writing);
    writing = undefined;
  };
  t.teardown(() => {
    pipe.close();
    end();
  });
  return { pipe, taken, reading: ends.reading, write: (text) => void writeSync(writing!, text), end };
}

t.test('a pipe that is asked gives what is there, and is closed at its end', async (t) => {
  const { pipe, taken, reading, write, end } = open(t);
  t.equal(pipe.drain(), false, 'nothing yet');
  write(CANARY);
  t.equal(pipe.drain(), true);
  t.equal(pipe.drain(), false);
  write('last');
  end();
  t.equal(pipe.drain(), true);
  await pipe.ended;
  t.throws(() => fstatSync(reading), { code: 'EBADF' });
  t.equal(taken.text(), `${CANARY}last`);
  for (const piece of taken.pieces) t.notOk(piece.some((byte) => byte !== 0));
  t.equal(pipe.drain(), false, 'and may be asked again');
  pipe.listen();
});

t.test('who goes on writing does not keep it from coming back', (t) => {
  const { pipe, taken, write } = open(t);
  const { take } = taken;
  taken.take = (piece) => {
    take(piece);
    write('again');
  };
  write('once');
  t.equal(pipe.drain(), true);
  t.ok(taken.pieces.length < 10);
  t.end();
});

t.test('a pipe that is listened to gives what comes when it comes, until its end', async (t) => {
  const { pipe, taken, write, end } = open(t);
  write(CANARY);
  pipe.listen();
  await until(() => taken.text() === CANARY);
  write('more');
  await until(() => taken.text() === `${CANARY}more`);
  t.equal(pipe.drain(), false, 'it is not asked any more');
  end();
  await pipe.ended;
  for (const piece of taken.pieces) t.notOk(piece.some((byte) => byte !== 0));
});

t.test('a pipe that is closed gives nothing more, listened to or not', async (t) => {
  for (const listened of [false, true]) {
    const { pipe, taken, write } = open(t);
    if (listened) pipe.listen();
    write(CANARY);
    pipe.close();
    await pipe.ended;
    t.equal(pipe.drain(), false);
    t.equal(taken.text(), '');
  }
});

t.test(
  'all that a child of Node prints comes in order, through one Buffer that is wiped after each piece',
  async (t) => {
    const child = spawn('/bin/sh', ['-c', `yes "$0" | head -c 300000; sleep 0.05; printf last`, CANARY]);
    const taken = collect();
    const output = readWiped(child.stdout, (piece) => taken.take(piece));
    await Promise.all([output.ended, once(child, 'close')]);
    t.equal(taken.text(), `${`${CANARY}\n`.repeat(20_000).slice(0, 300_000)}last`);
    t.equal(new Set(taken.pieces.map(({ buffer }) => buffer)).size, 1);
    for (const piece of taken.pieces) t.notOk(piece.some((byte) => byte !== 0));
  },
);

t.test('the output of a child that is let go of in the middle ends', async (t) => {
  const child = spawn('/bin/sh', ['-c', 'exec yes']);
  const output = readWiped(child.stdout, () => {
    output.close();
  });
  await output.ended;
  await once(child, 'close');
  t.not(child.exitCode, 0, 'nobody takes what it prints');
});
