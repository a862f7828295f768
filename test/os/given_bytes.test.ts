import t from 'tap';
import { changedArgument, changedVariable } from '../../src/os/given_bytes.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

t.test('of arguments that were given as other bytes the first counts', (t) => {
  const file = writeFile(temporaryFolder(t), 'cmdline', Buffer.from('node\0caf\xe9\0caf\xe9\0\0', 'latin1'));
  t.equal(changedArgument(['caf\ufffd', ''], file), 0);
  t.equal(changedArgument(['caf\ufffd', 'caf\ufffd', ''], file), 0);
  t.equal(changedArgument(['x', 'caf\ufffd', ''], file), 1, 'the last arguments are looked at');
  t.equal(changedArgument([''], file), -1);
  t.end();
});

t.test('what was given so is not changed', (t) => {
  const file = writeFile(temporaryFolder(t), 'strings', 'node\0A=caf\ufffd\0caf\ufffd\0é\0');
  t.equal(changedArgument(['caf\ufffd', 'é'], file), -1);
  t.equal(changedVariable({ A: 'caf\ufffd', B: 'é', C: undefined }, file), undefined);
  t.end();
});

t.test('a variable that was given as other bytes is named', (t) => {
  const file = writeFile(temporaryFolder(t), 'environ', Buffer.from('A=a\0B=caf\xe9\0C\xe9=c\0', 'latin1'));
  t.equal(changedVariable({ A: 'a', B: 'caf\ufffd' }, file), 'B');
  t.equal(changedVariable({ A: 'a', 'C\ufffd': 'c' }, file), 'C\ufffd');
  t.end();
});

t.test('where the system does not tell, what may be changed counts as changed, and nothing else', (t) => {
  const nowhere = `${temporaryFolder(t)}/nowhere`;
  t.equal(changedArgument(['é', 'caf\ufffd'], nowhere), 1);
  t.equal(changedArgument(['é'], nowhere), -1);
  t.equal(changedVariable({ A: 'é', B: '\ufffd' }, nowhere), 'B');
  t.equal(changedVariable({ A: 'é' }, nowhere), undefined);
  t.end();
});
