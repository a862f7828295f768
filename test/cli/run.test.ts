import t from 'tap';
import { run } from '../../src/cli/run.js';
import { memoryIo, READER_IS_GONE } from '../support/io.js';

t.test('output that nobody takes ends with 70 and is told on stderr', async (t) => {
  const io = memoryIo({ broken: READER_IS_GONE });
  t.equal(await run(['--version'], io), 70);
  t.equal(io.errors(), 'mxm-secretsd: standard output cannot be written: write EPIPE\n');
});

t.test('a defect is left to the process', async (t) => {
  const defect = new Error('a defect');
  const io = memoryIo({ broken: defect });
  await t.rejects(run(['--help'], io), defect);
  t.equal(io.errors(), '');
});
