import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createCertificate } from '../support/certificate.js';
import { ask } from '../support/http_client.js';
import { realKvServer, startKvServer } from '../support/kv_server.js';
import { runFromSources, runProgram, serveProcess, writeConfiguration } from '../support/process.js';
import { openssl, skipWithout } from '../support/real_component.js';
import { scriptedServer } from '../support/scripted_server.js';
import { writeFile } from '../support/temporary.js';
import { until } from '../support/until.js';

// The real daemon process, and a real server over TLS.
const skip = skipWithout(realKvServer(), openssl());

const CANARY = 'canary-of-the-server-41d7\n';

t.test('secrets of a server are handed out over the socket, and nothing of it shows elsewhere', { skip }, async (t) => {
  const certificate = createCertificate(t);
  const server = await startKvServer(t, { certificate });
  await server.write('mxm/entry', { value: CANARY, 'odd key': 'canary-of-a-field-5b', number: 1 });
  await server.write('mxm/closed', { value: 'canary-of-closed' });
  await server.allow('open', 'mxm/entry', 'mxm/absent', 'mxm/guarded');
  const token = await server.createToken({ policies: ['open'] });
  const { roleId, secretId } = await server.createRole('daemon', { token_policies: ['open'] });
  let tokenOfRole = '';
  const errorPage = `error page with canary-of-an-error-77 for ${token}`;
  const broken = await scriptedServer(t, (_request, response) => response.writeHead(418).end(errorPage));
  const garbage = await scriptedServer(t, (request, response) => {
    tokenOfRole = String(request.headers['x-vault-token']);
    response.end(`{"data":{"data":{"value":"canary-of-garbage-12"`);
  });

  const configured = writeConfiguration(t, {
    secrets: `
stores:
  by_token: { backend: openbao, root: mxm, address: ['https://127.0.0.1:9', '${server.address}'], ca_file: ca.pem,
    auth: { token_file: $CREDENTIALS_DIRECTORY/token } }
  by_role: { backend: openbao, root: mxm, address: '${server.address}', ca_file: ca.pem,
    auth: { role_id_file: role_id, secret_id_file: secret_id } }
  untrusted: { backend: openbao, root: mxm, address: '${server.address}', auth: { token_file: token } }
  broken: { backend: openbao, root: mxm, address: 'unix:${broken}', auth: { token_file: token } }
  garbage: { backend: openbao, root: mxm, address: 'unix:${garbage}', auth: { token_file: token } }
refs:
  entry: { store: by_token, path: entry, policy: open }
  odd: { store: by_token, path: entry, policy: open, field: odd key }
  number: { store: by_token, path: entry, policy: open, field: number }
  no_field: { store: by_token, path: entry, policy: open, field: none }
  absent: { store: by_token, path: absent, policy: open }
  closed: { store: by_token, path: closed, policy: open }
  guarded: { store: by_token, path: guarded, policy: nobody }
  of_role: { store: by_role, path: entry, policy: open }
  of_untrusted: { store: untrusted, path: entry, policy: open }
  of_broken: { store: broken, path: entry, policy: open }
  of_garbage: { store: garbage, path: entry, policy: open }
policies:
  open: { allowed_principals: [marketdata] }
  nobody: { allowed_principals: [] }
`,
    launch: 'log: { level: trace }\nlimits: { backend_timeout_ms: 30000 }\n',
  });
  const { folder } = configured;
  writeFile(folder, 'token', `${token}\n`);
  writeFile(folder, 'role_id', roleId);
  writeFile(folder, 'secret_id', secretId);
  writeFile(folder, 'ca.pem', readFileSync(certificate.caFile));
  const env = { CREDENTIALS_DIRECTORY: folder };
  const daemon = await serveProcess(t, configured, { env });
  let seen = '';

  async function outcomeOf(name: string): Promise<string> {
    const answer = await ask(daemon.socket, `/secrets/${name}`);
    seen += JSON.stringify(answer.headers) + (answer.status === 200 ? '' : answer.text);
    return answer.status === 200 ? String(answer.json['value']) : `${answer.status} ${String(answer.json['code'])}`;
  }
  const reasonOf = (name: string): unknown =>
    daemon.log().findLast(({ event, secret }) => event === 'secret_failed' && secret === name)?.['reason'];

  await t.test('each answer with its code and reason', async (t) => {
    const expected: [name: string, outcome: string, reason?: string][] = [
      ['entry', CANARY],
      ['odd', 'canary-of-a-field-5b'],
      ['of_role', CANARY],
      ['number', '502 backend_failed', 'field_not_text'],
      ['no_field', '404 secret_not_found', 'field_missing'],
      ['absent', '404 secret_not_found', 'entry_missing'],
      ['closed', '502 backend_failed', 'server_denied'],
      ['guarded', '403 access_denied'],
      ['of_untrusted', '503 backend_unavailable', 'server_untrusted'],
      ['of_broken', '502 backend_failed', 'unexpected_answer'],
      ['of_garbage', '502 backend_failed', 'unexpected_answer'],
    ];
    for (const [name, outcome, reason] of expected) {
      t.equal(await outcomeOf(name), outcome, name);
      if (reason !== undefined) t.equal(await until(() => reasonOf(name) as string | undefined), reason, name);
    }
  });

  await t.test('check and /readyz tell which store is ready', async (t) => {
    const ready = await ask(daemon.socket, '/readyz');
    seen += ready.text;
    const stores = ready.json['stores'] as Record<string, { status: string; code?: string }>;
    t.same(
      Object.entries(stores).map(([name, { status, code }]) => [name, status, code]),
      [
        ['by_token', 'ready', undefined],
        ['by_role', 'ready', undefined],
        ['untrusted', 'unready', 'backend_unavailable'],
        ['broken', 'unready', 'backend_failed'],
        ['garbage', 'unready', 'backend_failed'],
      ],
    );
    const checked = await runProgram(['check', '--launch', daemon.launchFile], { env });
    seen += checked.stdout.toString('latin1') + checked.stderr;
    t.equal(checked.status, 69);
    t.match(seen, 'server_untrusted');
  });

  await t.test('a reload opens the stores anew and goes on', async (t) => {
    daemon.child.kill('SIGHUP');
    await until(() => daemon.log().some(({ event }) => event === 'reloaded'));
    t.equal(await outcomeOf('entry'), CANARY);
    t.equal(await outcomeOf('of_role'), CANARY);
  });

  await t.test('a sealed server is unavailable until it is unsealed', async (t) => {
    await server.seal();
    t.equal(await outcomeOf('entry'), '503 backend_unavailable');
    t.equal(await until(() => reasonOf('entry') as string | undefined), 'server_sealed');
    await server.unseal();
    t.equal(await outcomeOf('entry'), CANARY);
  });

  await t.test('a token that is replaced in its file counts at once', async (t) => {
    await server.call('POST', 'auth/token/revoke', { token });
    t.equal(await outcomeOf('entry'), '502 backend_failed');
    t.equal(await until(() => reasonOf('entry') as string | undefined), 'token_refused');
    writeFileSync(join(folder, 'token'), await server.createToken({ policies: ['open'] }));
    t.equal(await outcomeOf('entry'), CANARY);
  });

  t.same(await daemon.stop(), { status: 0, signal: null });
  t.equal(daemon.stderr(), '');
  t.not(tokenOfRole, '');
  const traces = [
    'canary',
    ...[token, roleId, secretId, tokenOfRole, 'hvs.'],
    ...['mxm/', 'odd key', server.address, 'ca.pem', broken],
  ];
  for (const text of traces) {
    t.notOk(seen.includes(text), `${text} in an answer`);
    t.notOk(daemon.stdout().includes(text), `${text} in the log`);
  }
});

t.test('where Node runs without WebAssembly the store is unavailable, and the others are served', async (t) => {
  const configured = writeConfiguration(t, {
    secrets: `
stores:
  server: { backend: openbao, root: mxm, address: 'http://127.0.0.1:9', auth: { token_file: token } }
  mounted: { backend: file, root: mounted }
refs:
  of_server: { store: server, path: x, policy: open }
  of_file: { store: mounted, path: x, policy: open }
policies:
  open: { allowed_principals: [marketdata] }
`,
  });
  writeFile(configured.folder, 'token', 'some-token');
  writeFile(configured.folder, 'mounted/x', 'value');
  runFromSources(t);
  const daemon = await serveProcess(t, configured, { nodeArguments: ['--jitless'] });
  t.match((await ask(daemon.socket, '/secrets/of_server')).json, { status: 503, code: 'backend_unavailable' });
  t.match(await until(() => daemon.log().find(({ event }) => event === 'secret_failed')), {
    reason: 'webassembly_missing',
  });
  t.match((await ask(daemon.socket, '/readyz')).json, {
    stores: { server: { status: 'unready', code: 'backend_unavailable' }, mounted: { status: 'ready' } },
  });
  t.equal((await ask(daemon.socket, '/secrets/of_file')).json['value'], 'value');
  t.same(await daemon.stop(), { status: 0, signal: null });
});

t.test('a server that does not answer in time is a timeout', async (t) => {
  let closed = 0;
  const silent = await scriptedServer(t, (request) => request.socket.once('close', () => (closed += 1)));
  const configured = writeConfiguration(t, {
    secrets: `
stores:
  slow: { backend: openbao, root: mxm, address: 'unix:${silent}', auth: { token_file: token } }
refs:
  slow: { store: slow, path: x, policy: open }
policies:
  open: { allowed_principals: [marketdata] }
`,
    launch: 'limits: { backend_timeout_ms: 300 }\n',
  });
  writeFile(configured.folder, 'token', 'some-token');
  const daemon = await serveProcess(t, configured);
  await until(async () => {
    t.match((await ask(daemon.socket, '/secrets/slow')).json, { status: 504, code: 'backend_timeout' });
    // On a busy machine the first one may end while the client is being loaded.
    return closed > 0;
  });
  const leaving = new AbortController();
  const asking = ask(daemon.socket, '/secrets/slow', { signal: leaving.signal });
  leaving.abort();
  await t.rejects(asking);
  t.same(await daemon.stop(), { status: 0, signal: null });
});
