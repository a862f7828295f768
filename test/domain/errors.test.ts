import t from 'tap';
import {
  describeError,
  describeReason,
  ERROR_CODES,
  type ErrorCode,
  isErrorCode,
  isRetryable,
  REASON_NAMES,
  SecretsError,
} from '../../src/domain/errors.js';

t.test('the codes are those of the interface, each retryable or not', (t) => {
  const retryable: Record<ErrorCode, boolean> = {
    invalid_secret_name: false,
    invalid_request: false,
    access_denied: false,
    peer_denied: false,
    unknown_secret: false,
    secret_not_found: false,
    not_found: false,
    method_not_allowed: false,
    not_acceptable: false,
    internal_error: false,
    backend_failed: false,
    backend_unavailable: true,
    backend_locked: true,
    overloaded: true,
    audit_unavailable: true,
    shutting_down: true,
    backend_timeout: true,
  };
  t.same([...ERROR_CODES].sort(), Object.keys(retryable).sort());
  for (const code of ERROR_CODES) t.equal(isRetryable(code), retryable[code], code);
  t.end();
});

t.test('a code is told from anything else', (t) => {
  for (const code of ERROR_CODES) t.ok(isErrorCode(code));
  for (const other of [
    '',
    'ok',
    'cancelled',
    'OVERLOADED',
    'constructor',
    '__proto__',
    'toString',
    undefined,
    null,
    503,
    {},
  ]) {
    t.notOk(isErrorCode(other), JSON.stringify(other));
  }
  t.end();
});

t.test('every code has a title and a text of its own', (t) => {
  const described = ERROR_CODES.map(describeError);
  for (const { title, text } of described) {
    t.match(title, /^[A-Z][a-z ]+$/);
    t.match(text, /^[a-z].*[^.]$/);
  }
  t.equal(new Set(described.map(({ title }) => title)).size, ERROR_CODES.length);
  t.equal(new Set(described.map(({ text }) => text)).size, ERROR_CODES.length);
  t.end();
});

t.test('a reason with several causes says what to do about each', (t) => {
  t.match(describeReason('token_refused'), /"token_file".* AppRole/);
  t.match(describeReason('decrypt_failed'), /damaged.* too many recipients/);
  t.end();
});

t.test('every reason says something of its own to the operator', (t) => {
  const texts = REASON_NAMES.map(describeReason);
  for (const text of texts) t.match(text, /^[a-z].*[^.]$/);
  t.equal(new Set(texts).size, REASON_NAMES.length);
  t.end();
});

t.test('a SecretsError', (t) => {
  t.test('has the fixed text of its code as its message, and knows whether to ask again', (t) => {
    for (const code of ERROR_CODES) {
      const error = new SecretsError(code);
      t.equal(error.message, `${code}: ${describeError(code).text}`);
      t.match(error, { name: 'SecretsError', code, reason: null, retryable: isRetryable(code) });
      t.notOk('cause' in error);
    }
    t.end();
  });

  t.test('keeps the reason out of its message: that is for the operator', (t) => {
    const error = new SecretsError('backend_failed', 'decrypt_failed');
    t.equal(error.reason, 'decrypt_failed');
    t.notMatch(error.message, 'decrypt');
    t.end();
  });
  t.end();
});

t.test('the lists of codes and reasons cannot be changed', (t) => {
  for (const list of [ERROR_CODES, REASON_NAMES]) t.throws(() => (list as string[]).push('x'), TypeError);
  t.end();
});
