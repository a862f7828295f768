import t from 'tap';
import { filesNamedIn, frozenCopy } from '../../src/config/store_options.js';

t.test('the files that a store names are the texts of its keys that end in _file, however deep', (t) => {
  const options = {
    ca_file: 'ca.pem',
    file: 'x',
    _file_: 'x',
    key_file: 5,
    auth: { token_file: 'token', 'a/b_file': 'odd', names: ['x_file'], deeper: { id_file: 'id' } },
  };
  t.same(filesNamedIn(Object.entries(options)), [
    { pointer: '/ca_file', path: 'ca.pem' },
    { pointer: '/auth/token_file', path: 'token' },
    { pointer: '/auth/a~1b_file', path: 'odd' },
    { pointer: '/auth/deeper/id_file', path: 'id' },
  ]);
  t.end();
});

t.test('a frozen copy cannot be changed, and does not change with what it was made of', (t) => {
  const data = { auth: { token_file: 'token', names: ['a'] }, number: 1 };
  const copy = frozenCopy(data);
  data.auth.token_file = 'intruder';
  data.auth.names.push('intruder');
  t.same(copy, { auth: { token_file: 'token', names: ['a'] }, number: 1 });
  t.ok([copy, copy.auth, copy.auth.names].every(Object.isFrozen));
  t.end();
});
