import t, { type Test } from 'tap';
import { complaints } from '../support/config_files.js';

const ADDRESS = 'address: https://bao.example:8200';
const TOKEN = 'auth: { token_file: token }';

/** What is said of a store with these lines, by key and without the file. */
function said(t: Test, ...lines: readonly string[]): string[] {
  const keys = ['backend: openbao', 'root: mxm', ...lines].map((line) => `    ${line}\n`).join('');
  return complaints(t, { secrets: `stores:\n  red:\n${keys}refs: {}\npolicies: {}\n` }).map((line) =>
    line.replace('secrets.yaml:', '').replace('stores.red.', ''),
  );
}

t.test('a store names its servers and how to log in', (t) => {
  const good = [
    [ADDRESS, TOKEN],
    ['address: [https://a.example, unix:/run/bao.sock, http://127.0.0.1:8200]', TOKEN],
    [ADDRESS, TOKEN, 'mount: team/kv', 'namespace: admin/team', 'ca_file: ca.pem'],
    [ADDRESS, 'auth: { role_id_file: role_id, secret_id_file: secret_id }'],
    [ADDRESS, 'auth: { role_id_file: /r, secret_id_file: /s, mount: team/approle }'],
    [ADDRESS, 'auth: { token_file: $CREDENTIALS_DIRECTORY/token }'],
  ];
  for (const lines of good) t.same(said(t, ...lines), [], lines.join(', '));
  t.end();
});

t.test('address and auth are required', (t) => {
  t.same(said(t), [
    '2:3: address: is missing: where the server listens, or a list of servers of one cluster',
    '2:3: auth: is missing: token_file, or role_id_file and secret_id_file',
  ]);
  t.end();
});

t.test('an address that is none is told at its place', (t) => {
  const rule = 'must be an address or a list of addresses: https://HOST[:PORT], http:// on loopback, or unix:/PATH';
  t.same(said(t, 'address: 8200', TOKEN), [`5:14: address: ${rule}`]);
  t.same(said(t, 'address: []', TOKEN), [`5:5: address: ${rule}`]);
  t.same(said(t, 'address: {}', TOKEN), [`5:5: address: ${rule}`]);
  t.same(said(t, 'address: http://bao.example', TOKEN), [
    '5:14: address: must be https://: without TLS only 127.0.0.0/8, [::1] and localhost are asked',
  ]);
  t.same(said(t, 'address: [https://a.example, unix:x, "https://u:hunter2@b.example"]', TOKEN), [
    '5:34: address[1]: must have an absolute path after "unix:"',
    '5:42: address[2]: must not hold a user name or a password',
  ]);
  t.end();
});

t.test('of a list every item that is wrong is told at once', (t) => {
  t.same(said(t, 'address: [https://a.example, 5, http://bao.example, "", [unix:/a], https://A.example]', TOKEN), [
    '5:34: address[1]: must be a string, not a bare number: put it in quotes',
    '5:37: address[2]: must be https://: without TLS only 127.0.0.0/8, [::1] and localhost are asked',
    '5:57: address[3]: must not be empty, have white space around it or hold a control character',
    '5:61: address[4]: must be a string',
    '5:72: address[5]: is the same address as [0]',
  ]);
  t.end();
});

t.test('the same address twice is an error, however it is written', (t) => {
  t.same(said(t, 'address: [https://a.example, unix:/a, https://A.example:443/, unix:/a]', TOKEN), [
    '5:43: address[2]: is the same address as [0]',
    '5:67: address[3]: is the same address as [1]',
  ]);
  t.end();
});

t.test('a mount has segments, and a namespace is what a header can carry', (t) => {
  const rule = 'must not have an empty, "." or ".." segment, nor begin or end with "/"';
  for (const mount of ['/kv', 'kv/', 'a//b', '.', 'a/../b']) {
    t.same(said(t, ADDRESS, TOKEN, `mount: ${mount}`), [`7:12: mount: ${rule}`]);
    const auth = `auth: { role_id_file: r, secret_id_file: s, mount: ${mount} }`;
    t.same(said(t, ADDRESS, auth), [`6:56: auth.mount: ${rule}`]);
  }
  t.same(said(t, ADDRESS, TOKEN, 'namespace: tëam'), ['7:16: namespace: must be made of visible ASCII characters']);
  t.end();
});

t.test('what becomes a name of a file or a part of a URL is well-formed Unicode', (t) => {
  const wrong = 'is not well-formed Unicode';
  t.same(said(t, ADDRESS, TOKEN, 'mount: "a\\ud800"', 'ca_file: "\\udfffa"'), [
    `7:12: mount: ${wrong}`,
    `8:14: ca_file: ${wrong}`,
  ]);
  t.same(said(t, ADDRESS, 'auth: { token_file: "a\\ud800" }'), [`6:25: auth.token_file: ${wrong}`]);
  t.same(said(t, ADDRESS, 'auth: { role_id_file: r, secret_id_file: s, mount: "a\\ud800b" }'), [
    `6:56: auth.mount: ${wrong}`,
  ]);
  t.end();
});

t.test('auth is one of its two forms, whole', (t) => {
  const both = 'is for an AppRole: with "token_file" there is no other key';
  const half = 'is missing: an AppRole has "role_id_file" and "secret_id_file"';
  t.same(said(t, ADDRESS, 'auth: {}'), ['6:5: auth: must have "token_file", or "role_id_file" and "secret_id_file"']);
  t.same(said(t, ADDRESS, 'auth: { mount: x }'), [
    '6:5: auth: must have "token_file", or "role_id_file" and "secret_id_file"',
  ]);
  t.same(said(t, ADDRESS, 'auth: { role_id_file: r }'), [`6:5: auth.secret_id_file: ${half}`]);
  t.same(said(t, ADDRESS, 'auth: { secret_id_file: s }'), [`6:5: auth.role_id_file: ${half}`]);
  t.same(said(t, ADDRESS, 'auth: { token_file: t, role_id_file: r, mount: m }'), [
    `6:42: auth.role_id_file: ${both}`,
    `6:52: auth.mount: ${both}`,
  ]);
  t.same(said(t, ADDRESS, 'auth: { token_fil: t }'), [
    '6:13: auth.token_fil: is an unknown key; did you mean "token_file"?',
  ]);
  t.same(said(t, ADDRESS, 'auth: token'), ['6:11: auth: must be a mapping']);
  t.end();
});

t.test('all of it is told at once, also without a root', (t) => {
  const secrets = `stores:
  red:
    backend: openbao
    adress: https://a.example
    mount: /
    auth: { token_file: [] }
refs: {}
policies: {}
`;
  t.same(
    complaints(t, { secrets }).map((line) => line.replace('secrets.yaml:', '').replace('stores.red.', '')),
    [
      '2:3: root: is missing: what every path of this store begins with',
      '2:3: address: is missing: where the server listens, or a list of servers of one cluster',
      '4:5: adress: is an unknown key; did you mean "address"?',
      '5:12: mount: must not have an empty, "." or ".." segment, nor begin or end with "/"',
      '6:13: auth.token_file: must be a string',
    ],
  );
  t.end();
});
