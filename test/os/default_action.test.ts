import t from 'tap';
import { byDefault } from '../../src/os/default_action.js';
import { until } from '../support/until.js';

t.test('a signal does what it does by itself, and is listened for again afterwards', async (t) => {
  let heard = 0;
  const listener = (): void => void (heard += 1);
  process.on('SIGWINCH', listener);
  t.teardown(() => process.off('SIGWINCH', listener));
  byDefault('SIGWINCH'); // which is nothing
  process.kill(process.pid, 'SIGWINCH');
  await until(() => heard > 0);
  t.equal(heard, 1);
});
