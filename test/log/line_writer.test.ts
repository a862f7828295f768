import { once } from 'node:events';
import fs, { closeSync, openSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { createLineWriter } from '../../src/log/line_writer.js';
import { descriptorOf } from '../../src/os/peer.js';
import { connectedPair } from '../support/connected_pair.js';
import { openPipe } from '../support/pipe.js';
import { temporaryFolder } from '../support/temporary.js';
import { until } from '../support/until.js';

/** Longer than any test waits for. */
const LONG_MS = 60_000;
const SHORT_MS = 30;

/** As statfs(2) numbers it. */
const NFS = 0x6969;

function openFile(t: Test): { fd: number; text: () => string } {
  const path = join(temporaryFolder(t), 'log');
  const fd = openSync(path, 'a');
  t.teardown(() => closeSync(fd));
  return { fd, text: () => readFileSync(path, 'utf8') };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

t.test('lines are written as they are, in the order in which they came', async (t) => {
  const line = fc.string({ unit: 'binary', maxLength: 50 }).map((text) => `${text.replaceAll('\n', ' ')}\n`);
  const step = fc.record({ line, kind: fc.constantFrom('write', 'append', 'pause') });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { fd, text } = openFile(t);
      const writer = createLineWriter(fd, LONG_MS);
      const appended: Promise<boolean>[] = [];
      for (const { line, kind } of steps) {
        if (kind === 'append') appended.push(Promise.resolve(writer.append(line)));
        else writer.write(line);
        if (kind === 'pause') await nextTurn();
      }
      t.ok((await Promise.all(appended)).every((written) => written));
      await writer.drained();
      t.equal(text(), steps.map(({ line }) => line).join(''));
    }),
    { numRuns: 30 },
  );
});

t.test('an appended line is there once its promise says so', async (t) => {
  const { fd, text } = openFile(t);
  const writer = createLineWriter(fd, LONG_MS);
  t.equal(await writer.append('one\n'), true);
  t.equal(text(), 'one\n');
});

t.test('nothing to drain is drained', async (t) => {
  const { fd, text } = openFile(t);
  const writer = createLineWriter(fd, LONG_MS);
  await writer.drained();
  t.equal(text(), '');
});

t.test('an appended line that comes alone is written at once', async (t) => {
  const { fd, text } = openFile(t);
  const writer = createLineWriter(fd, LONG_MS);
  for (const expected of ['line\n', 'line\nline\n']) {
    t.equal(writer.append('line\n'), true, 'and not later');
    t.equal(text(), expected);
    await sleep(5);
  }
});

t.test('a line of which that is known is written at once, however soon it comes after another', async (t) => {
  const { fd, text } = openFile(t);
  const writer = createLineWriter(fd, LONG_MS);
  await Promise.all([writer.append('one\n'), writer.append('two\n'), writer.append('three\n')]);
  t.equal(writer.append('four\n', true), true, 'and not later');
  t.equal(writer.append('five\n', true), true);
  t.equal(text(), 'one\ntwo\nthree\nfour\nfive\n');
});

t.test('it comes after those that wait all the same', async (t) => {
  const { fd, text } = openFile(t);
  const writer = createLineWriter(fd, LONG_MS);
  writer.write('log\n');
  t.type(writer.append('line\n', true), Promise);
  await writer.drained();
  t.equal(text(), 'log\nline\n');
});

t.test('of the lines of a turn the first may be written by itself, and one write takes all the others', async (t) => {
  const writes = recordWrites(t, (bytes) => bytes.length);
  const { fd, text } = openFile(t);
  const writer = createLineWriter(fd, LONG_MS);
  // Where this process is interrupted it looks as if the next one came alone, too.
  const lines = Array.from({ length: 1_000 }, async () => writer.append('line\n'));
  t.ok(writes.length < 100);
  writer.write('log\n');
  t.ok((await Promise.all(lines)).every((written) => written));
  t.ok((writes.at(-1) as number) > 900 * 5);

  await sleep(5);
  const next = writer.append('next\n');
  t.type(next, Promise, 'after a turn with many, the next one may have many as well');
  t.equal(await next, true);
  t.equal(text(), `${'line\n'.repeat(1_000)}log\nnext\n`);
});

t.test('lines of one turn go out together, whatever they are', async (t) => {
  const writes = recordWrites(t, (bytes) => bytes.length);
  const { fd, text } = openFile(t);
  const writer = createLineWriter(fd, LONG_MS);
  writer.write('first\n');
  await Promise.all([writer.append('second\n'), writer.append('third\n')]);
  t.same(writes, [19], 'a line of the log waits for its turn');
  writes.length = 0;
  await Promise.all([writer.append('fourth\n'), writer.append('fifth\n')]);
  t.same(writes, [13]);
  t.equal(text(), 'first\nsecond\nthird\nfourth\nfifth\n');
});

t.test('what a sink takes in pieces is written on until it is whole', async (t) => {
  const writes = recordWrites(t, (bytes) => Math.min(3, bytes.length));
  const { fd, text } = openFile(t);
  t.equal(await createLineWriter(fd, LONG_MS).append('a longer line\n'), true);
  t.same(writes, [14, 11, 8, 5, 2]);
  t.equal(text(), 'a longer line\n');
});

t.test('what has been written makes room for as much again', async (t) => {
  const { fd, text } = openFile(t);
  const writer = createLineWriter(fd, LONG_MS);
  const line = `${'x'.repeat(999_999)}\n`;
  for (let count = 0; count < 3; count += 1) {
    writer.write(line);
    await writer.drained();
  }
  t.equal(text(), line.repeat(3));
});

t.test('a reader that does not read', (t) => {
  t.test('leaves an appended line unwritten within the time given, and later ones as well', async (t) => {
    const pipe = openPipe(t);
    pipe.fill();
    const writer = createLineWriter(pipe.fd, SHORT_MS);
    const first = writer.append('first\n');
    await nextTurn();
    const second = writer.append('second\n');
    t.same(await Promise.all([first, second]), [false, false]);
    await writer.drained();
    t.match(pipe.read(), /^#+$/);
  });

  t.test('keeps no thread busy: the process goes on, and can end', async (t) => {
    const pipe = openPipe(t);
    pipe.fill();
    const writers = Array.from({ length: 16 }, () => createLineWriter(pipe.fd, LONG_MS));
    const lines = writers.map(async (writer) => writer.append('line\n'));
    t.equal((await readFile(new URL(import.meta.url), 'utf8')).slice(0, 6), 'import');
    pipe.read();
    t.ok((await Promise.all(lines)).every((written) => written));
  });

  t.test('and then does gets what still waits, and what comes after', async (t) => {
    const pipe = openPipe(t);
    const filled = pipe.fill();
    const writer = createLineWriter(pipe.fd, LONG_MS);
    const waiting = writer.append('waiting\n');
    await nextTurn();
    writer.write('log\n');
    t.equal(pipe.read(filled), '#'.repeat(filled));
    t.equal(await waiting, true);
    t.equal(await writer.append('next\n'), true);
    t.equal(pipe.read(), 'waiting\nlog\nnext\n');
  });

  t.test('gets no appended line that has been given up', async (t) => {
    const pipe = openPipe(t);
    pipe.fill();
    const writer = createLineWriter(pipe.fd, SHORT_MS);
    await writer.append('given up\n');
    await writer.drained();
    pipe.read();
    t.equal(await writer.append('next\n'), true);
    t.equal(pipe.read(), 'next\n');
  });

  t.test('and blocks, as only its reader can change, gets no line that was given up before its turn', async (t) => {
    const held: (() => void)[] = [];
    const offered = recordWrites(
      t,
      (bytes) => bytes.length,
      (go) => void held.push(go),
    );
    const { fd, text } = openFile(t);
    const writer = createLineWriter(fd, SHORT_MS);
    const first = writer.append('first\n');
    await until(() => held.length === 1);
    t.same(await Promise.all([first, writer.append('given up\n')]), [false, false]);
    held.pop()?.();
    await writer.drained();
    t.equal(text(), 'first\n', 'what had been begun is finished');
    t.same(offered, [6]);
  });

  t.test('lets very many lines be given up at once, in a time that does not grow with their square', async (t) => {
    const held: (() => void)[] = [];
    recordWrites(
      t,
      (bytes) => bytes.length,
      (go) => void held.push(go),
    );
    const writer = createLineWriter(openFile(t).fd, SHORT_MS);
    const first = writer.append('first\n');
    await until(() => held.length === 1);
    const begun = process.cpuUsage();
    const lines = await Promise.all(Array.from({ length: 50_000 }, async () => writer.append('given up\n')));
    t.notOk(lines.includes(true));
    const { user } = process.cpuUsage(begun);
    t.ok(user < 4_000_000, `${user / 1_000} ms of the processor, and not the square of it`);
    held.pop()?.();
    await first;
    await writer.drained();
  });

  t.test('gets the next record on a line of its own behind one that was cut', async (t) => {
    const pipe = openPipe(t);
    const filled = pipe.fill();
    const writer = createLineWriter(pipe.fd, SHORT_MS);
    pipe.read(8_192); // room for a part
    t.equal(await writer.append(`${'x'.repeat(30_000)}\n`), false);
    t.equal(await writer.append('given up, with nothing of it written\n'), false);
    await writer.drained();
    const cut = pipe.read().slice(filled - 8_192);
    t.equal(cut, 'x'.repeat(8_192));
    t.equal(await writer.append('{"whole":1}\n'), true);
    t.equal(await writer.append('{"whole":2}\n'), true);
    t.equal(pipe.read(), '\n{"whole":1}\n{"whole":2}\n');
  });

  t.test('loses log lines, and is told how many', async (t) => {
    const pipe = openPipe(t);
    pipe.fill();
    const writer = createLineWriter(pipe.fd, SHORT_MS);
    for (let count = 0; count < 5; count += 1) writer.write(`${'x'.repeat(400_000)}\n`); // two fit in
    t.equal(await writer.append('{"audit":1}\n'), false);
    writer.write('{"lost":"as well"}\n');
    await writer.drained();
    pipe.read();
    t.equal(await writer.append('{"audit":2}\n'), true);
    await writer.drained();
    const [audit, report, ...rest] = pipe.read().split('\n');
    t.equal(audit, '{"audit":2}');
    const { time, ...told } = JSON.parse(report!) as { time: string };
    t.strictSame(told, { level: 'warn', event: 'log_lines_dropped', count: 6 });
    t.equal(new Date(time).toISOString(), time);
    t.same(rest, ['']);

    writer.write('{"log":1}\n');
    await writer.drained();
    t.equal(pipe.read(), '{"log":1}\n', 'each loss is told once');
  });
  t.end();
});

t.test('a sink that fails', (t) => {
  t.test('because its reader is gone gives up at once, each time', async (t) => {
    const pipe = openPipe(t);
    const before = createLineWriter(pipe.fd, LONG_MS);
    t.equal(await before.append('line\n'), true);
    pipe.closeReader();
    const after = createLineWriter(pipe.fd, LONG_MS);
    for (const writer of [before, after, before]) {
      writer.write('log\n');
      t.equal(await writer.append('line\n'), false);
      await writer.drained();
    }
  });

  t.test('because the disk is full gives up at once, each time', async (t) => {
    const fd = openSync('/dev/full', 'w');
    t.teardown(() => closeSync(fd));
    const writer = createLineWriter(fd, LONG_MS);
    t.equal(await writer.append('line\n'), false);
    t.equal(await writer.append('line\n'), false);
    writer.write('log\n');
    await writer.drained();
  });

  t.test('because it is not open gives up at once', async (t) => {
    t.equal(await createLineWriter(1_000_000, LONG_MS).append('line\n'), false);
  });

  t.test('within the last byte of a record has not taken it', async (t) => {
    const taken = [3, 'ENOSPC', 4, 'ENOSPC'];
    recordWrites(t, (bytes) => taken.shift() ?? bytes.length);
    const { fd, text } = openFile(t);
    const writer = createLineWriter(fd, LONG_MS);
    t.equal(await writer.append('one\n'), false);
    t.equal(await writer.append('two\n'), false);
    t.equal(await writer.append('three\n'), true);
    t.equal(text(), 'one\ntwo\nthree\n');
  });

  t.test('and recovers gets the next record on a line of its own, and told what was lost', async (t) => {
    let full = false;
    recordWrites(t, (bytes) => (full ? (bytes.length === 12 ? 7 : 'ENOSPC') : bytes.length));
    const { fd, text } = openFile(t);
    const writer = createLineWriter(fd, LONG_MS);
    full = true;
    writer.write('a log line \n');
    await writer.drained();
    full = false;
    t.equal(await writer.append('audit\n'), true);
    await writer.drained();
    const [cut, audit, report] = text().split('\n');
    t.same([cut, audit], ['a log l', 'audit']);
    t.match(JSON.parse(report!), { event: 'log_lines_dropped', count: 1 });
  });
  t.end();
});

/**
 * Lets a file take as many bytes as the test says, or fail so; gives the sizes that were offered to it. With `when` it is
 * a file of a network, which takes them then.
 */
function recordWrites(t: Test, take: (bytes: Buffer) => number | string, when?: (go: () => void) => void): number[] {
  const offered: number[] = [];
  const { write, writeSync, statfsSync } = fs;

  function takenOf(bytes: Buffer): number {
    offered.push(bytes.length);
    const taken = take(bytes);
    if (typeof taken === 'number') return taken;
    throw Object.assign(new Error(taken), { code: taken });
  }

  const scripted = {
    writeSync: (fd: number, bytes: Buffer) => writeSync(fd, bytes.subarray(0, takenOf(bytes))),
    write(fd: number, bytes: Buffer, done: (error: unknown, written: number) => void) {
      try {
        const taken = takenOf(bytes);
        when?.(() => write(fd, bytes.subarray(0, taken), done));
      } catch (error) {
        process.nextTick(done, error, 0);
      }
    },
    ...(when && { statfsSync: () => ({ type: NFS }) }),
  };
  Object.assign(fs, scripted);
  syncBuiltinESMExports();
  t.teardown(() => {
    Object.assign(fs, { write, writeSync, statfsSync });
    syncBuiltinESMExports();
  });
  return offered;
}

t.test('a file of a network', (t) => {
  const atOnce = (go: () => void): void => go();

  t.test('is written by another thread, as it may let wait', async (t) => {
    const writes = recordWrites(t, (bytes) => Math.min(3, bytes.length), atOnce);
    const { fd, text } = openFile(t);
    const writer = createLineWriter(fd, LONG_MS);
    t.same(await Promise.all([writer.append('one\n'), writer.append('two\n')]), [true, true]);
    t.same(writes, [8, 5, 2]);
    t.equal(text(), 'one\ntwo\n');
  });

  t.test('that fails has not taken what it failed at', async (t) => {
    const taken = [3, 'EIO'];
    recordWrites(t, (bytes) => taken.shift() ?? bytes.length, atOnce);
    const { fd, text } = openFile(t);
    const writer = createLineWriter(fd, LONG_MS);
    t.same(await Promise.all([writer.append('one\n'), writer.append('two\n')]), [false, false]);
    t.equal(await writer.append('three\n'), true);
    t.equal(text(), 'one\nthree\n');
  });
  t.end();
});

t.test('a socket whose reader is stuck holds nobody up, and takes the rest when it is read again', async (t) => {
  const { client, server } = await connectedPair(t);
  server.pause();
  const fd = descriptorOf(client) ?? -1;
  const writer = createLineWriter(fd, SHORT_MS);
  t.equal(await writer.append('one\n'), true);
  const filler = `${'#'.repeat(65_535)}\n`;
  let written = true;
  for (let count = 0; count < 100 && written; count += 1) written = await writer.append(filler);
  t.equal(written, false, 'it was given up');
  let text = '';
  server.on('data', (chunk: Buffer) => (text += chunk.toString('latin1'))).resume();
  await until(() => text.length > 65_536);
  t.equal(await writer.append('last\n'), true);
  await until(() => text.endsWith('\nlast\n'));
  t.ok(text.startsWith('one\n#'));
  await writer.close();
});

t.test('where nothing can be sent without waiting, a socket is written', async (t) => {
  const { client, server } = await connectedPair(t);
  t.equal(await createLineWriter(descriptorOf(client) ?? -1, LONG_MS, false, null).append('one\n'), true);
  const [received] = (await once(server, 'data')) as [Buffer];
  t.equal(received.toString(), 'one\n');
});

t.test('a socket whose reader is gone takes nothing', async (t) => {
  const { client, server } = await connectedPair(t);
  server.destroy();
  await once(server, 'close');
  t.equal(await createLineWriter(descriptorOf(client) ?? -1, LONG_MS).append('one\n'), false);
});
