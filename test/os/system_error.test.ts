import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { describeSystemError } from '../../src/os/system_error.js';
import { temporaryFolder } from '../support/temporary.js';

function describedOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return describeSystemError(error);
  }
  return 'nothing is wrong';
}

t.test('what the system says is told in words and by its code, without the path', (t) => {
  const missing = join(temporaryFolder(t), 'missing');
  t.equal(
    describedOf(() => readFileSync(missing)),
    'no such file or directory (ENOENT)',
  );
  t.end();
});

t.test('what Node itself says is told by its code', (t) => {
  t.equal(
    describedOf(() => readFileSync('a\0b')),
    'ERR_INVALID_ARG_VALUE',
  );
  t.end();
});
