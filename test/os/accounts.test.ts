import t from 'tap';
import { findGroup, findUser, MAX_ID } from '../../src/os/accounts.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

const DATABASE = `root:x:0:
svc-feed:x:1001:alice,bob
nis:x::
short
+::
`;

t.test('a number is a gid', (t) => {
  t.equal(findGroup(1001, '/nonexistent'), 1001);
  t.equal(findGroup(0, '/nonexistent'), 0);
  t.end();
});

t.test('digits are a gid', (t) => {
  t.equal(findGroup('1001', '/nonexistent'), 1001);
  t.equal(findGroup('0', '/nonexistent'), 0);
  t.end();
});

t.test('digits that are more than a gid can be are no group', (t) => {
  t.equal(findGroup(String(MAX_ID), '/nonexistent'), MAX_ID);
  t.equal(findGroup(String(MAX_ID + 1), '/nonexistent'), undefined);
  t.equal(findGroup('9'.repeat(40), '/nonexistent'), undefined);
  t.end();
});

t.test('a name is looked up in the group database', (t) => {
  const database = writeFile(temporaryFolder(t), 'group', DATABASE);
  t.equal(findGroup('root', database), 0);
  t.equal(findGroup('svc-feed', database), 1001);
  t.equal(findGroup('svc', database), undefined);
  t.equal(findGroup('alice', database), undefined, 'a member is no group');
  t.equal(findGroup('', database), undefined);
  t.end();
});

t.test("an entry without a gid is no group, least of all root's", (t) => {
  const database = writeFile(temporaryFolder(t), 'group', DATABASE);
  for (const name of ['nis', 'short', '+']) t.equal(findGroup(name, database), undefined, name);
  t.end();
});

t.test('without a database no name is known', (t) => {
  t.equal(findGroup('root', '/nonexistent/group'), undefined);
  t.end();
});

t.test('a user is found in the same way', (t) => {
  const database = writeFile(
    temporaryFolder(t),
    'passwd',
    'root:x:0:0:root:/root:/bin/bash\nsvc_feed:x:1001:7::/:/x\n',
  );
  t.equal(findUser('svc_feed', database), 1001);
  t.equal(findUser('nobody_here', database), undefined);
  t.equal(findUser('4242', database), 4242);
  t.equal(findUser(4242, database), 4242);
  t.equal(findUser('root'), 0, 'the database of this machine is the default');
  t.end();
});

t.test('the database of this machine is the default', (t) => {
  t.equal(findGroup('no such group'), undefined);
  t.end();
});
