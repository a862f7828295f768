import t from 'tap';
import { ADDRESS_PATTERN, parseAddress } from '../../src/backends/openbao_address.js';

const FORM = 'must be https://HOST[:PORT], http://HOST[:PORT] on loopback, or unix:/PATH';
const NO_TLS = 'must be https://: without TLS only 127.0.0.0/8, [::1] and localhost are asked';
const NO_USER = 'must not hold a user name or a password';
const HOST_ONLY = 'must end with the host or the port: no path, no "?" and no "#"';

/** A text, the origin that it means, and the socket. */
const GOOD: readonly (readonly [string, string, string?])[] = [
  ['https://bao.example', 'https://bao.example'],
  ['https://bao.example:8200/', 'https://bao.example:8200'],
  ['HTTPS://BAO.example:443', 'https://bao.example'],
  ['https://192.0.2.1:8200', 'https://192.0.2.1:8200'],
  ['https://[2001:db8::1]:8200', 'https://[2001:db8::1]:8200'],
  ['http://127.0.0.1:8200', 'http://127.0.0.1:8200'],
  ['http://127.255.0.7', 'http://127.255.0.7'],
  ['http://[::1]:8200', 'http://[::1]:8200'],
  ['http://localhost:8200', 'http://localhost:8200'],
  ['unix:/run/bao.sock', 'http://localhost', '/run/bao.sock'],
  [`unix:/${'x'.repeat(106)}`, 'http://localhost', `/${'x'.repeat(106)}`],
];

t.test('an address is a scheme, a host and a port, or a socket', (t) => {
  for (const [text, origin, socketPath] of GOOD) {
    t.same(parseAddress(text), { origin, ...(socketPath !== undefined && { socketPath }) }, text);
  }
  t.end();
});

/** A text, and what is wrong with it. */
const BAD: readonly (readonly [string, string])[] = [
  ['bao.example:8200', FORM],
  ['ftp://bao.example', FORM],
  ['https:bao.example', FORM],
  ['https://', FORM],
  ['https:///x', FORM],
  ['https://bao.example:99999', FORM],
  ['https://a b', FORM],
  ['file:///run/bao.sock', FORM],
  ['http://bao.example', NO_TLS],
  ['http://128.0.0.1', NO_TLS],
  ['http://127.0.0.1.example', NO_TLS],
  ['http://localhost.example', NO_TLS],
  ['http://0.0.0.0', NO_TLS],
  ['https://user@bao.example', NO_USER],
  ['https://:word@bao.example', NO_USER],
  ['https://@bao.example', NO_USER],
  ['http://127.0.0.1@bao.example', NO_USER],
  ['https://bao.example/v1', HOST_ONLY],
  ['https://bao.example?', HOST_ONLY],
  ['https://bao.example/#', HOST_ONLY],
  ['https://bao.example\\x', HOST_ONLY],
  ['unix:run/bao.sock', 'must have an absolute path after "unix:"'],
  ['unix:', 'must have an absolute path after "unix:"'],
  [`unix:/${'é'.repeat(54)}`, 'is too long: the path of a socket has 107 bytes at most'],
];

t.test('of anything else it is told what is wrong', (t) => {
  for (const [text, wrong] of BAD) t.same(parseAddress(text), { wrong }, text);
  t.end();
});

t.test('editors tell the same, but for the finer points', (t) => {
  const pattern = new RegExp(ADDRESS_PATTERN);
  for (const [text] of GOOD) t.match(text, pattern);
  const untold = BAD.filter(([text]) => pattern.test(text));
  t.same(
    untold.map(([text]) => text),
    ['https://bao.example:99999', 'https://bao.example\\x', `unix:/${'é'.repeat(54)}`],
  );
  t.end();
});
