import t from 'tap';
import { run } from '../../src/cli/run.js';
import { memoryIo, READER_IS_GONE } from '../support/io.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

const ODD = 'x\x1b[31m\ny\u009b\u202e';
const SHOWN = 'x\ufffd[31m\ufffdy\ufffd\ufffd';

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

t.test('no argument and no file name reaches the terminal with what that would act upon', async (t) => {
  const folder = temporaryFolder(t);
  writeFile(folder, `${ODD}/launch.yaml`, 'no');
  for (const [argv, lines] of [
    [[ODD], [`mxm-secretsd: there is no command "${SHOWN}"`, 'mxm-secretsd --help tells what there is.']],
    [[`--${ODD}`], [`mxm-secretsd: unknown option --${SHOWN}`, 'mxm-secretsd --help tells what there is.']],
    [
      ['get', 'a', `--${ODD}`],
      [`mxm-secretsd: get has no option --${SHOWN}`, 'mxm-secretsd get --help tells what there is.'],
    ],
    [['get', 'a', '--socket', `/no/${ODD}`], [`mxm-secretsd get: no daemon answers at /no/${SHOWN} (ENOENT)`]],
    [['health', '--socket', `/no/${ODD}`], [`mxm-secretsd health: no daemon answers at /no/${SHOWN} (ENOENT)`]],
    [['check', '--launch', ODD], [`${SHOWN}: cannot be read: no such file or directory (ENOENT)`]],
    [['exec', '--socket', 's', '--', `/no/${ODD}`], [`mxm-secretsd exec: /no/${SHOWN}: there is no such command`]],
    [
      ['init', '--dir', `${folder}/${ODD}`, '--role', 'r', '--machine', 'm', '--environment', 'e', '--backend', 'env'],
      [`mxm-secretsd init: ${folder}/${SHOWN}/launch.yaml: is there already, and nothing is overwritten`],
    ],
  ] as const) {
    const io = memoryIo();
    t.not(await run(argv, io), 0);
    t.same(io.errors().split('\n'), [...lines, '']);
  }
});
