import { execFileSync } from 'node:child_process';
import t from 'tap';
import { descriptorLimit } from '../../src/os/descriptors.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

t.test('the limit is that which the shell tells', (t) => {
  const file = writeFile(
    temporaryFolder(t),
    'limits',
    execFileSync('sh', ['-c', 'ulimit -n 100; cat /proc/self/limits']),
  );
  t.equal(descriptorLimit(file), 100);
  t.type(descriptorLimit(), 'number', 'and this process has one');
  t.end();
});

t.test('where there is none, or none can be told, there is none', (t) => {
  const folder = temporaryFolder(t);
  t.equal(
    descriptorLimit(writeFile(folder, 'a', 'Max open files            unlimited            unlimited   files\n')),
    undefined,
  );
  t.equal(descriptorLimit(`${folder}/nowhere`), undefined);
  t.end();
});
