import fc from 'fast-check';
import t from 'tap';
import { authorize } from '../../src/authorize.js';
import { compare } from '../../src/cli/expectation.js';
import { Registry } from '../../src/domain/registry.js';

const REGISTRIES = {
  stores: new Registry([{ name: 'red', backend: 'env', root: 'mxm', options: {} }]),
  refs: new Registry([
    { name: 'api_key', store: 'red', path: 'a', policy: 'open' },
    { name: 'master_key', store: 'red', path: 'b', policy: 'closed' },
  ]),
  policies: new Registry([
    { name: 'open', allowedPrincipals: ['marketdata'] },
    { name: 'closed', allowedPrincipals: [] },
  ]),
};

t.test('for all expectations: one holds when it is what authorize decides, and never of an unknown name', (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom('api_key', 'master_key', 'api_kee', 'constructor'),
      fc.constantFrom('marketdata', 'research', 'constructor'),
      fc.constantFrom('allowed' as const, 'denied' as const),
      (secret, principal, expected) => {
        const { decision } = authorize(secret, principal, REGISTRIES.refs, REGISTRIES.policies);
        const { count, differences } = compare([{ secret, principal, decision: expected, place: 'f:1' }], REGISTRIES);
        const hint = secret === 'api_kee' ? '; did you mean "api_key"?' : '';
        t.equal(count, 1);
        t.same(
          differences,
          decision === expected ? [] : [{ secret, principal, expected, decision, place: 'f:1', hint }],
        );
      },
    ),
  );
  t.end();
});

t.test('of very many unknown names the first hundred have a hint', (t) => {
  const expectations = Array.from({ length: 150 }, () => ({
    secret: 'api_kee',
    principal: 'marketdata',
    decision: 'allowed' as const,
    place: 'f:1',
  }));
  const { differences } = compare(expectations, REGISTRIES);
  t.equal(differences.length, 150);
  t.equal(differences.filter(({ hint }) => hint !== '').length, 100);
  t.end();
});
