import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import t from 'tap';
import { closedOffDescriptors, descriptorLimit } from '../../src/os/descriptors.js';
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

t.test('what Node closes off is all that it has not opened itself', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(`${folder}/fd`);
  for (const [fd, [what, flags]] of Object.entries({
    0: ['/dev/null', '02100000'],
    2: ['/dev/null', '02100001'],
    3: ['anon_inode:[eventpoll]', '02000002'],
    4: ['pipe:[11]', '02004000'],
    5: ['pipe:[11]', '02004001'],
    6: ['pipe:[22]', '02000000'],
    7: ['/tmp/file', '02100000'],
    8: ['pipe:[22]', '02000000'],
    9: ['socket:[33]', '02000002'],
    20: ['/tmp/file', '0100000'],
  })) {
    symlinkSync(what!, `${folder}/fd/${fd}`);
    writeFile(folder, `fdinfo/${fd}`, `pos:\t0\nflags:\t${flags!}\nmnt_id:\t1\n`);
  }
  writeFile(folder, 'fdinfo/10', 'nothing that is understood\n');
  symlinkSync('/tmp/file', `${folder}/fd/10`);
  symlinkSync('/proc/1/fd', `${folder}/fd/11`);
  t.same(closedOffDescriptors(folder), [6, 7, 8, 9]);
  t.same(closedOffDescriptors(`${folder}/nowhere`), []);
  t.end();
});
