import t from 'tap';
import { createTakenVariables } from '../../src/os/environment.js';

t.test('a variable is taken once, as its bytes, and stands in the environment no more', (t) => {
  process.env['MXM_TEST_TAKEN'] = 'välue';
  process.env['MXM_TEST_LEFT'] = 'left';
  t.teardown(() => delete process.env['MXM_TEST_LEFT']);
  const taken = createTakenVariables(process.env);
  taken.take(['MXM_TEST_TAKEN', 'MXM_TEST_NO_SUCH']);
  t.equal(taken.valueOf('MXM_TEST_TAKEN')?.toString(), 'välue');
  t.notOk('MXM_TEST_TAKEN' in process.env);
  t.equal(taken.valueOf('MXM_TEST_NO_SUCH'), undefined);
  t.equal(process.env['MXM_TEST_LEFT'], 'left', 'what nobody names stays');

  taken.take(['MXM_TEST_TAKEN', 'MXM_TEST_LEFT']);
  t.equal(taken.valueOf('MXM_TEST_TAKEN')?.toString(), 'välue');
  t.equal(taken.valueOf('MXM_TEST_LEFT')?.toString(), 'left', 'a later configuration may name it');
  t.end();
});

t.test('where the platform does not allow it they stay where they are', (t) => {
  const environment = { MXM_TEST: 'value' };
  const taken = createTakenVariables(environment, null);
  taken.take(['MXM_TEST']);
  t.equal(taken.valueOf('MXM_TEST'), undefined);
  t.same(environment, { MXM_TEST: 'value' });
  t.end();
});
