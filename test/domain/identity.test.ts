import t from 'tap';
import { principalOf } from '../../src/domain/identity.js';

t.test('the principal is the role of the identity, and nothing else of it', (t) => {
  const identity = { machine: 'research', environment: 'admin', role: 'marketdata', app: 'root', substrate: 'ops' };
  t.equal(principalOf(identity), 'marketdata');
  t.end();
});
