import { closeSync, openSync } from 'node:fs';
import t from 'tap';
import { endsWithinLine, outputEndsWithinLine } from '../../src/log/torn_line.js';
import { openPipe } from '../support/pipe.js';
import { asStranger } from '../support/stranger.js';
import { type Ending, temporaryFolder, writeFile } from '../support/temporary.js';

function opened(t: Ending, path: string, flags: string): number {
  const fd = openSync(path, flags);
  t.teardown(() => closeSync(fd));
  return fd;
}

t.test('a file ends within a line or not, whether it can be read or only appended to', (t) => {
  for (const [content, torn] of [
    ['', false],
    ['whole\n', false],
    ['\n', false],
    ['whole\n{"ha', true],
    ['{', true],
  ] as const) {
    const file = writeFile(temporaryFolder(t), 'log', content);
    t.equal(endsWithinLine(opened(t, file, 'a+')), torn, content);
    t.equal(outputEndsWithinLine(opened(t, file, 'a')), torn, content);
  }
  t.end();
});

t.test('of what is no file, is not open or may not be read it cannot be told', (t) => {
  t.notOk(outputEndsWithinLine(openPipe(t).fd));
  t.notOk(outputEndsWithinLine(opened(t, '/dev/null', 'a')));
  t.notOk(outputEndsWithinLine(1_000_000));
  const unreadable = opened(t, writeFile(temporaryFolder(t), 'log', '{"ha', 0o200), 'a');
  t.notOk(asStranger(() => outputEndsWithinLine(unreadable)));
  t.end();
});
