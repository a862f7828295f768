import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { createCertificate } from '../support/certificate.js';
import { KV_SERVERS, type KvServer, realKvServer, startKvServer } from '../support/kv_server.js';
import { fetchFrom, openStore, probeOf } from '../support/openbao_store.js';
import { openssl, skipWithout } from '../support/real_component.js';
import { watchBuffers } from '../support/retained.js';
import { scriptedServer } from '../support/scripted_server.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';
import { until } from '../support/until.js';

// Against a real server: what only a scripted one can show is in openbao_client.test.ts.
const { skip } = realKvServer();

const NO_ENTRY = 'secret_not_found/entry_missing';
const NO_FIELD = 'secret_not_found/field_missing';
const DENIED = 'backend_failed/server_denied';
const REFUSED = 'backend_failed/token_refused';
const SEALED = 'backend_unavailable/server_sealed';

/** Options of a store at this server, with the root token in a file. */
function optionsFor(t: Test, server: KvServer, token = server.rootToken): Record<string, unknown> {
  return { address: server.address, auth: { token_file: writeFile(temporaryFolder(t), 'token', `${token}\n`) } };
}

/** Options with an AppRole that may read `mxm/open`. */
async function roleOptions(t: Test, server: KvServer, settings: object): Promise<Record<string, unknown>> {
  await server.allow('open', 'mxm/open');
  const { roleId, secretId } = await server.createRole(`daemon-${randomUUID()}`, {
    token_policies: ['open'],
    ...settings,
  });
  const folder = temporaryFolder(t);
  const auth = {
    role_id_file: writeFile(folder, 'role_id', `${roleId}\n`),
    secret_id_file: writeFile(folder, 'secret_id', `${secretId}\n`),
  };
  return { address: server.address, auth };
}

/** The accessors of all tokens that live. */
async function tokensOf(server: KvServer): Promise<string[]> {
  const { data } = await server.call('LIST', 'auth/token/accessors');
  return (data as { keys: string[] }).keys;
}

async function newTokens(server: KvServer, before: readonly string[]): Promise<string[]> {
  return (await tokensOf(server)).filter((accessor) => !before.includes(accessor));
}

/** Undefined when the token does not live any more. */
async function wasRenewed(server: KvServer, accessor: string): Promise<boolean | undefined> {
  const { status, json } = await server.ask('POST', 'auth/token/lookup-accessor', { accessor });
  return status === 200 ? 'last_renewal_time' in (json['data'] as object) : undefined;
}

for (const component of KV_SERVERS) {
  const { file, skip } = component;
  const program = file.split('/').at(-1) ?? '';

  t.test(`what a KV engine holds is given byte by byte ${program}`, { skip }, async (t) => {
    const server = await startKvServer(t, { server: component });
    const store = openStore(optionsFor(t, server));

    await t.test('the key `value`, or the one that `field` names', async (t) => {
      await server.write('mxm/entry', { value: 'the value', password: 'pass', other: 'x', 'a/b "c"': 'odd' });
      t.equal(await fetchFrom(store, 'mxm/entry'), 'the value');
      t.equal(await fetchFrom(store, '/mxm/entry'), 'the value', 'a root may begin with a slash');
      for (const [field, value] of [
        ['password', 'pass'],
        ['other', 'x'],
        ['a/b "c"', 'odd'],
      ] as const) {
        t.equal(await fetchFrom(store, 'mxm/entry', { field }), value);
      }
      t.equal(await fetchFrom(store, 'mxm/entry', { field: 'none' }), NO_FIELD);
    });

    await t.test('line endings, white space and every character stay', async (t) => {
      const values = ['\n', 'x\n\n', 'a\r\nb\r\n', ' \tx ', '\u0000\u001f"\\/<>&\u2028', 'ключ 🔑 \ufeff'];
      for (const value of values) {
        await server.write('mxm/text', { value });
        t.equal(await fetchFrom(store, 'mxm/text'), value);
      }
    });

    await t.test('what is no text is told', async (t) => {
      await server.write('mxm/other', { number: 1, list: ['x'], mapping: { value: 'x' }, nothing: null, yes: true });
      for (const field of ['number', 'list', 'mapping', 'nothing', 'yes']) {
        t.equal(await fetchFrom(store, 'mxm/other', { field }), 'backend_failed/field_not_text', field);
      }
    });

    await t.test('what is not there is told', async (t) => {
      t.equal(await fetchFrom(store, 'mxm/none'), NO_ENTRY);
      t.equal(await fetchFrom(store, 'mxm'), NO_ENTRY, 'a folder');
      await server.write('mxm/gone', { value: 'x' });
      t.equal(await fetchFrom(store, 'mxm/gone'), 'x');
      await server.call('DELETE', 'secret/data/mxm/gone');
      t.equal(await fetchFrom(store, 'mxm/gone'), NO_ENTRY, 'a version that is deleted');
      await server.write('mxm/gone', { value: 'y' });
      await server.call('PUT', 'secret/destroy/mxm/gone', { versions: [2] });
      t.equal(await fetchFrom(store, 'mxm/gone'), NO_ENTRY, 'a version that is destroyed');
      await server.write('mxm/gone', { value: 'z' });
      t.equal(await fetchFrom(store, 'mxm/gone'), 'z', 'the newest version counts');
    });

    await t.test('the very path is asked for, whatever characters it has', async (t) => {
      const paths = [
        'a%2Fb',
        'a%252Fb',
        'a?b',
        'a#b',
        'a+b',
        'a b',
        'a;b=c',
        'ключ',
        "!'()*",
        'a\\b',
        '%',
        '..a',
        '...',
      ];
      for (const path of paths) {
        await server.write(`mxm/${path.split('/').map(encodeURIComponent).join('/')}`, { value: path });
      }
      for (const path of paths) t.equal(await fetchFrom(store, `mxm/${path}`), path);
      const { data } = await server.call('LIST', 'secret/metadata/mxm');
      const { keys } = data as { keys: string[] };
      for (const path of paths) t.ok(keys.includes(path), path);
    });

    await t.test('another mount, also one below another', async (t) => {
      await server.call('POST', 'sys/mounts/team/kv%20x', { type: 'kv', options: { version: '2' } });
      const elsewhere = openStore({ ...optionsFor(t, server), mount: 'team/kv x' });
      await until(async () => (await probeOf(elsewhere)) === 'ready' && (await fetchFrom(elsewhere, 'x')) === NO_ENTRY);
      await server.call('POST', 'secret/data/mxm/here', { data: { value: 'here' } });
      t.equal(await fetchFrom(elsewhere, 'mxm/here'), NO_ENTRY);
    });

    await t.test('a value above the limit is refused without being read to its end', async (t) => {
      await server.write('mxm/large', { value: 'x'.repeat(300_000) });
      t.equal(await fetchFrom(store, 'mxm/large', { maxBytes: 1000 }), 'backend_failed/value_too_large');
      t.equal((await fetchFrom(store, 'mxm/large', { maxBytes: 300_000 })).length, 300_000);
    });

    await t.test('several fetches at once', async (t) => {
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          await server.write(`mxm/many/${index}`, { value: `value ${index}` });
          t.equal(await fetchFrom(store, `mxm/many/${index}`), `value ${index}`);
        }),
      );
    });
  });

  t.test(`a policy decides what a token may read ${program}`, { skip }, async (t) => {
    const server = await startKvServer(t, { server: component });
    await server.write('mxm/open', { value: 'open' });
    await server.write('mxm/closed', { value: 'closed' });
    await server.allow('open', 'mxm/open', 'mxm/absent');
    for (const no_default_policy of [false, true]) {
      const token = await server.createToken({ policies: ['open'], no_default_policy });
      const store = openStore(optionsFor(t, server, token));
      t.equal(await fetchFrom(store, 'mxm/open'), 'open');
      t.equal(await fetchFrom(store, 'mxm/closed'), DENIED);
      t.equal(await fetchFrom(store, 'mxm/absent'), NO_ENTRY);
      t.equal(await probeOf(store), 'ready');
    }
    const nothing = openStore(optionsFor(t, server, await server.createToken({ policies: ['none'] })));
    t.equal(await fetchFrom(nothing, 'mxm/open'), DENIED);
    t.equal(await probeOf(nothing), DENIED);
  });

  t.test(`a server that is sealed is unavailable until it is unsealed ${program}`, { skip }, async (t) => {
    const server = await startKvServer(t, { server: component });
    await server.write('mxm/entry', { value: 'x' });
    const store = openStore(optionsFor(t, server));
    t.equal(await fetchFrom(store, 'mxm/entry'), 'x');
    await server.seal();
    t.equal(await fetchFrom(store, 'mxm/entry'), SEALED);
    t.equal(await probeOf(store), SEALED);
    await server.unseal();
    t.equal(await probeOf(store), 'ready');
    t.equal(await fetchFrom(store, 'mxm/entry'), 'x');
  });

  t.test(`over a Unix socket ${program}`, { skip }, async (t) => {
    const server = await startKvServer(t, { server: component, unix: true });
    t.match(server.address, /^unix:\//);
    await server.write('mxm/entry', { value: 'x' });
    const store = openStore(optionsFor(t, server));
    t.equal(await probeOf(store), 'ready');
    t.equal(await fetchFrom(store, 'mxm/entry'), 'x');
    server.child.kill('SIGKILL');
    t.equal(await fetchFrom(store, 'mxm/entry'), 'backend_unavailable/server_unreachable');
  });

  t.test(`over TLS ${program}`, { skip: skipWithout(component, openssl()) }, async (t) => {
    const certificate = createCertificate(t);
    const server = await startKvServer(t, { server: component, certificate });
    t.match(server.address, /^https:/);
    await server.write('mxm/entry', { value: 'x' });
    const options = optionsFor(t, server);

    await t.test('with its CA', async (t) => {
      const store = openStore({ ...options, ca_file: certificate.caFile });
      t.equal(await probeOf(store), 'ready');
      t.equal(await fetchFrom(store, 'mxm/entry'), 'x');
    });

    await t.test('a CA that has not signed it, none at all, and another name are refused', async (t) => {
      const untrusted = 'backend_unavailable/server_untrusted';
      const store = openStore({ ...options, ca_file: createCertificate(t).caFile });
      t.equal(await fetchFrom(store, 'mxm/entry'), untrusted);
      t.equal(await probeOf(store), untrusted);
      t.equal(await fetchFrom(openStore(options), 'mxm/entry'), untrusted);
      const renamed = server.address.replace('127.0.0.1', 'localhost');
      const elsewhere = openStore({ ...options, address: renamed, ca_file: certificate.caFile });
      t.equal(await fetchFrom(elsewhere, 'mxm/entry'), untrusted);
    });

    await t.test('also where the environment tells Node to check nothing', async (t) => {
      process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
      t.teardown(() => Reflect.deleteProperty(process.env, 'NODE_TLS_REJECT_UNAUTHORIZED'));
      const store = openStore({ ...options, ca_file: createCertificate(t).caFile });
      t.equal(await fetchFrom(store, 'mxm/entry'), 'backend_unavailable/server_untrusted');
    });

    await t.test('a CA file is read again when it has changed', async (t) => {
      const ca_file = `${temporaryFolder(t)}/ca.pem`;
      const store = openStore({ ...options, ca_file });
      t.equal(await fetchFrom(store, 'mxm/entry'), 'backend_unavailable/credential_unreadable');
      t.equal(await probeOf(store), 'backend_unavailable/credential_unreadable');
      writeFileSync(ca_file, readFileSync(createCertificate(t).caFile, 'utf8'));
      t.equal(await fetchFrom(store, 'mxm/entry'), 'backend_unavailable/server_untrusted');
      writeFileSync(ca_file, readFileSync(certificate.caFile, 'utf8'));
      t.equal(await fetchFrom(store, 'mxm/entry'), 'x');
    });
  });

  t.test(
    `a token that has expired is refused, and a new one in its file counts at once ${program}`,
    { skip },
    async (t) => {
      const server = await startKvServer(t, { server: component });
      await server.write('mxm/open', { value: 'x' });
      await server.allow('open', 'mxm/open');
      const options = optionsFor(t, server, await server.createToken({ policies: ['open'], ttl: '3s' }));
      const store = openStore(options);
      t.equal(await fetchFrom(store, 'mxm/open'), 'x');
      await until(async () => (await fetchFrom(store, 'mxm/open')) === REFUSED);
      t.equal(await probeOf(store), REFUSED);
      const { token_file } = options['auth'] as { token_file: string };
      writeFileSync(token_file, await server.createToken({ policies: ['open'] }));
      t.equal(await fetchFrom(store, 'mxm/open'), 'x');
      t.equal(await probeOf(store), 'ready');
    },
  );

  t.test(`an AppRole ${program}`, { skip }, async (t) => {
    const server = await startKvServer(t, { server: component });
    await server.write('mxm/open', { value: 'x' });
    await server.write('mxm/closed', { value: 'x' });

    await t.test('logs in once for all who ask', async (t) => {
      const store = openStore(await roleOptions(t, server, { token_ttl: '1h' }));
      const before = await tokensOf(server);
      const values = await Promise.all(Array.from({ length: 8 }, () => fetchFrom(store, 'mxm/open')));
      t.same(new Set(values), new Set(['x']));
      t.equal(await probeOf(store), 'ready');
      t.equal((await tokensOf(server)).length, before.length + 1);
    });

    await t.test('does not log in anew for a path that its policy forbids', async (t) => {
      const store = openStore(await roleOptions(t, server, { token_no_default_policy: true }));
      const before = await tokensOf(server);
      for (let round = 0; round < 3; round += 1) t.equal(await fetchFrom(store, 'mxm/closed'), DENIED);
      t.equal((await tokensOf(server)).length, before.length + 1);
    });

    await t.test('renews its token as long as the server allows, and logs in anew after that', async (t) => {
      // Vault counts in whole seconds. On a busy machine a renewal has to find its time between 4 s and 6 s.
      const store = openStore(await roleOptions(t, server, { token_ttl: '6s', token_max_ttl: '9s' }));
      const before = await tokensOf(server);
      const answers = new Set([await fetchFrom(store, 'mxm/open')]);
      const [first] = await newTokens(server, before);
      await until(async () => {
        answers.add(await fetchFrom(store, 'mxm/open'));
        return (await wasRenewed(server, first!)) === true;
      });
      t.same(await newTokens(server, before), [first], 'it is the same token');
      await until(async () => {
        answers.add(await fetchFrom(store, 'mxm/open'));
        return (await wasRenewed(server, first!)) === undefined;
      });
      t.equal((await newTokens(server, before)).length, 1, 'it is another token, and one alone');
      t.same(answers, new Set(['x']), 'nobody has noticed');
    });

    await t.test('logs in anew when its token is revoked', async (t) => {
      const store = openStore(await roleOptions(t, server, { token_ttl: '1h' }));
      const before = await tokensOf(server);
      const revoke = async (): Promise<void> => {
        for (const accessor of await newTokens(server, before)) {
          await server.call('POST', 'auth/token/revoke-accessor', { accessor });
        }
      };
      t.equal(await fetchFrom(store, 'mxm/open'), 'x');
      await revoke();
      t.equal(await fetchFrom(store, 'mxm/open'), 'x');
      await revoke();
      t.equal(await probeOf(store), 'ready');
      t.equal((await newTokens(server, before)).length, 1);
    });

    await t.test('a login that the server refuses is told', async (t) => {
      const refused = 'backend_failed/login_refused';
      const options = await roleOptions(t, server, {});
      const { auth } = options as { auth: { role_id_file: string; secret_id_file: string } };
      t.equal(await fetchFrom(openStore({ ...options, auth: { ...auth, mount: 'elsewhere' } }), 'mxm/open'), refused);
      const swapped = { role_id_file: auth.secret_id_file, secret_id_file: auth.role_id_file };
      t.equal(await fetchFrom(openStore({ ...options, auth: swapped }), 'mxm/open'), refused);
      t.equal(await probeOf(openStore({ ...options, auth: swapped })), refused);
    });

    await t.test('a secret id that has changed counts at the next login', async (t) => {
      const options = await roleOptions(t, server, {});
      const { auth } = options as { auth: { secret_id_file: string } };
      const store = openStore(options);
      const good = readFileSync(auth.secret_id_file, 'utf8');
      writeFileSync(auth.secret_id_file, 'not-yet');
      t.equal(await fetchFrom(store, 'mxm/open'), 'backend_failed/login_refused');
      writeFileSync(auth.secret_id_file, good);
      t.equal(await fetchFrom(store, 'mxm/open'), 'x');
    });
  });

  t.test(`the probe names a mount that is none of this engine ${program}`, { skip }, async (t) => {
    const server = await startKvServer(t, { server: component });
    const options = optionsFor(t, server);
    t.equal(await probeOf(openStore({ ...options, mount: 'nowhere' })), DENIED);
    await server.call('POST', 'sys/mounts/old', { type: 'kv', options: { version: '1' } });
    t.equal(await probeOf(openStore({ ...options, mount: 'old' })), 'backend_unavailable/not_kv2');
    t.equal(await fetchFrom(openStore({ ...options, mount: 'nowhere' }), 'mxm/x'), NO_ENTRY);
  });

  t.test(`a rate limit of the server is told ${program}`, { skip }, async (t) => {
    const server = await startKvServer(t, { server: component });
    await server.write('mxm/entry', { value: 'x' });
    const store = openStore(optionsFor(t, server));
    await server.call('POST', 'sys/quotas/rate-limit/kv', { rate: 1, interval: '1h', path: 'secret' });
    await fetchFrom(store, 'mxm/entry');
    t.equal(await fetchFrom(store, 'mxm/entry'), 'backend_unavailable/server_busy');
  });
}

t.test('a node that stands by is passed over, and told when it is the only one', { skip }, async (t) => {
  const server = await startKvServer(t, { standby: true });
  await server.write('mxm/entry', { value: 'x' });
  const options = optionsFor(t, server);
  await until(async () => (await probeOf(openStore({ ...options, address: server.standby }))) !== SEALED);
  t.equal(await probeOf(openStore({ ...options, address: server.standby })), 'backend_unavailable/server_standby');
  t.equal(
    await fetchFrom(openStore({ ...options, address: server.standby }), 'mxm/entry'),
    'backend_unavailable/server_standby',
  );
  t.equal(await fetchFrom(openStore({ ...options, address: [server.standby, server.address] }), 'mxm/entry'), 'x');
});

t.test('for every text and key the value is that text', { skip }, async (t) => {
  const server = await startKvServer(t);
  const store = openStore(optionsFor(t, server));
  const text = fc.string({ unit: 'binary', minLength: 1 });
  await fc.assert(
    fc.asyncProperty(fc.dictionary(text, text, { minKeys: 1, maxKeys: 4, noNullPrototype: true }), async (data) => {
      await server.write('mxm/random', data);
      for (const [field, value] of Object.entries(data)) {
        t.equal(await fetchFrom(store, 'mxm/random', { field }), value);
      }
    }),
    { numRuns: 100 },
  );
});

t.test('a new token that is refused as well is the end of it', async (t) => {
  const tokenFile = writeFile(temporaryFolder(t), 'token', 'one');
  const asked: [unknown, unknown][] = [];
  const path = await scriptedServer(t, (request, response) => {
    asked.push([request.url, request.headers['x-vault-token']]);
    writeFileSync(tokenFile, 'two');
    response.writeHead(403).end('{"errors":["permission denied"]}');
  });
  const store = openStore({ address: `unix:${path}`, auth: { token_file: tokenFile } });
  t.equal(await fetchFrom(store, 'mxm/x'), REFUSED);
  t.same(asked, [
    ['/v1/secret/data/mxm/x', 'one'],
    ['/v1/sys/internal/ui/mounts/secret', 'one'],
    ['/v1/secret/data/mxm/x', 'two'],
    ['/v1/sys/internal/ui/mounts/secret', 'two'],
  ]);
});

t.test('a token of an AppRole that is used up at once is replaced, and not for ever', async (t) => {
  for (const [usedUp, told] of [
    [2, 'x'],
    [99, REFUSED],
  ] as const) {
    let logins = 0;
    const path = await scriptedServer(t, (request, response) => {
      if (request.url === '/v1/auth/approle/login') {
        logins += 1;
        response.end(`{"auth":{"client_token":"${logins}","lease_duration":60,"renewable":true}}`);
      } else if (Number(request.headers['x-vault-token']) <= usedUp) {
        response.writeHead(403).end('{"errors":["permission denied"]}');
      } else {
        response.end('{"data":{"data":{"value":"x"}}}');
      }
    });
    const folder = temporaryFolder(t);
    const auth = {
      role_id_file: writeFile(folder, 'role_id', 'role'),
      secret_id_file: writeFile(folder, 'secret_id', 'secret'),
    };
    t.equal(await fetchFrom(openStore({ address: `unix:${path}`, auth }), 'mxm/x'), told);
    t.equal(logins, 3);
  }
});

t.test('what no server of this kind says is told', async (t) => {
  for (const [status, body] of [
    [200, 'garbage'],
    [200, ''],
    [204, ''],
    [400, '{"errors":["x"]}'],
    [418, ''],
  ] as const) {
    const path = await scriptedServer(t, (_request, response) => response.writeHead(status).end(body));
    const store = openStore({
      address: `unix:${path}`,
      auth: { token_file: writeFile(temporaryFolder(t), 'token', 'one') },
    });
    t.equal(await fetchFrom(store, 'mxm/x'), 'backend_failed/unexpected_answer', `${status} ${body}`);
    t.equal(await probeOf(store), 'backend_failed/unexpected_answer');
  }
});

t.test('what a server answered is filled with zeros, but for the value', async (t) => {
  const canary = 'canary-of-a-server';
  const body = `{"data":{"data":{"value":"${canary}","other":"${canary}"}}}`;
  const path = await scriptedServer(t, (_request, response) => response.end(body));
  const tokenFile = writeFile(temporaryFolder(t), 'token', 'one');
  const store = openStore({ address: `unix:${path}`, auth: { token_file: tokenFile } });
  const buffers = watchBuffers(t);
  t.equal(await fetchFrom(store, 'mxm/x'), canary);
  t.equal(await fetchFrom(store, 'mxm/x', { field: 'none' }), NO_FIELD);
  t.ok(buffers.seen() > 0);
  t.equal(buffers.retaining(canary), 0);
});

t.test('credentials of a unit that are not there are told', async (t) => {
  const address = 'http://127.0.0.1:1';
  const auths = [
    { token_file: '$CREDENTIALS_DIRECTORY/token' },
    { role_id_file: '$CREDENTIALS_DIRECTORY/role_id', secret_id_file: '/secret_id' },
    { role_id_file: '/role_id', secret_id_file: '$CREDENTIALS_DIRECTORY/secret_id' },
  ];
  const missing = 'backend_unavailable/credentials_missing';
  for (const auth of auths) {
    t.equal(await fetchFrom(openStore({ address, auth }), 'mxm/x'), missing);
    t.equal(await probeOf(openStore({ address, auth })), missing);
  }
  const store = openStore({ address, auth: { token_file: '/t' }, ca_file: '$CREDENTIALS_DIRECTORY/ca.pem' });
  t.equal(await fetchFrom(store, 'mxm/x'), missing);
});

t.test('a token file may be among the credentials of a unit', { skip }, async (t) => {
  const server = await startKvServer(t);
  await server.write('mxm/entry', { value: 'x' });
  const folder = temporaryFolder(t);
  writeFile(folder, 'token', server.rootToken);
  const options = { address: server.address, auth: { token_file: '$CREDENTIALS_DIRECTORY/token' } };
  t.equal(await fetchFrom(openStore(options, { CREDENTIALS_DIRECTORY: folder }), 'mxm/entry'), 'x');
});
