import fc from 'fast-check';
import t from 'tap';
import { authorize, readableNames } from '../src/authorize.js';
import { Registry } from '../src/domain/registry.js';
import type { SecretPolicy, SecretRef } from '../src/domain/secrets.js';

const ref = (name: string, policy: string): SecretRef => ({ name, store: 'red', path: 'p', policy });
const refs = new Registry([ref('open', 'everyone'), ref('closed', 'nobody'), ref('constructor', 'everyone')]);
const policies = new Registry<SecretPolicy>([
  { name: 'everyone', allowedPrincipals: ['marketdata', 'research'] },
  { name: 'nobody', allowedPrincipals: [] },
]);

t.test('a principal that the policy lists is allowed', (t) => {
  t.match(authorize('open', 'research', refs, policies), { decision: 'allowed', ref: { name: 'open' } });
  t.end();
});

t.test('a principal that the policy does not list is denied', (t) => {
  t.match(authorize('open', 'execution', refs, policies), { decision: 'denied', ref: { name: 'open' } });
  t.end();
});

t.test('an empty policy denies everybody', (t) => {
  t.equal(authorize('closed', 'marketdata', refs, policies).decision, 'denied');
  t.end();
});

t.test('a name without a ref is unknown', (t) => {
  t.same(authorize('nope', 'marketdata', refs, policies), { decision: 'unknown' });
  t.end();
});

t.test('a ref whose policy is not there is denied', (t) => {
  const lonely = new Registry([ref('lonely', 'missing')]);
  t.equal(authorize('lonely', 'marketdata', lonely, policies).decision, 'denied');
  t.end();
});

t.test('names that JavaScript objects have by nature are names like any other', (t) => {
  t.equal(authorize('constructor', 'marketdata', refs, policies).decision, 'allowed');
  for (const name of ['__proto__', 'toString', 'hasOwnProperty']) {
    t.equal(authorize(name, 'marketdata', refs, policies).decision, 'unknown', name);
  }
  t.end();
});

t.test('the readable names are the allowed ones, sorted', (t) => {
  t.same(readableNames('marketdata', refs, policies), ['constructor', 'open']);
  t.same(readableNames('execution', refs, policies), []);
  t.end();
});

t.test('for all principals: allowed exactly when the list holds the very same string', (t) => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.string(), (allowedPrincipals, principal) => {
      const own = new Registry<SecretPolicy>([{ name: 'everyone', allowedPrincipals }]);
      const { decision } = authorize('open', principal, refs, own);
      return decision === (allowedPrincipals.includes(principal) ? 'allowed' : 'denied');
    }),
  );
  t.end();
});
