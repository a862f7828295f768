import t from 'tap';
import { identityProblems } from '../../src/config/identity.js';

const IDENTITY = { machine: 'bridge', environment: 'dev', role: 'marketdata' };

t.test('an identity with the keys of the launch file is one', (t) => {
  for (const identity of [IDENTITY, { ...IDENTITY, app: 'x', substrate: 'y' }, { ...IDENTITY, app: undefined }]) {
    t.same(identityProblems(identity), []);
  }
  t.end();
});

t.test('of any other everything that is wrong is told, and no value', (t) => {
  for (const identity of [undefined, 'marketdata', 5, [IDENTITY]]) {
    t.same(identityProblems(identity), ['identity must be a mapping']);
  }
  t.same(identityProblems({ role: 'Market Data', app: ' hunter2', 'a b': 1 }), [
    'identity.machine is missing: the machine this runs on',
    'identity.environment is missing: the environment this runs in: dev, prod, …',
    'identity."a b" is an unknown key; known here: machine, environment, role, app, substrate',
    'identity.role must be a lower-case letter, then lower-case letters, digits and underscores, 128 characters at most',
    'identity.app must not be empty, have white space around it or hold a control character',
  ]);
  t.end();
});
