import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import t, { type Test } from 'tap';
import type { ServerAddress } from '../../src/backends/openbao_address.js';
import { type ClientOptions, createClient, type Question } from '../../src/backends/openbao_client.js';
import { type Certificate, createCertificate } from '../support/certificate.js';
import { collectGarbage } from '../support/garbage.js';
import { openssl, skipWithout } from '../support/real_component.js';
import { watchBuffers } from '../support/retained.js';
import { leaveDeadSocket, rawServer, scriptedServer, socketIn } from '../support/scripted_server.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';
import { until } from '../support/until.js';

// Against servers that do what a real one cannot be made to do.

const UNREACHABLE = 'backend_unavailable/server_unreachable';
const TIMED_OUT = 'backend_timeout/timeout';

function at(...socketPaths: readonly string[]): ClientOptions {
  return { addresses: socketPaths.map((socketPath) => ({ origin: 'http://localhost', socketPath })) };
}

/** Status and body of an answer, or code and reason. */
async function ask(options: ClientOptions, question: Partial<Question> = {}): Promise<string> {
  return askWith(createClient(options), question);
}

async function askWith(client: ReturnType<typeof createClient>, question: Partial<Question> = {}): Promise<string> {
  const signal = AbortSignal.timeout(30_000);
  const answer = await client({ method: 'GET', path: 'secret/data/x', maxBytes: 1000, signal, ...question });
  return 'status' in answer ? `${answer.status} ${answer.body.toString()}` : `${answer.code}/${answer.reason}`;
}

/** Answers each request with the next of these, and all further ones with the last. */
function answering(...answers: readonly RequestListener[]): { listener: RequestListener; requests: IncomingMessage[] } {
  const requests: IncomingMessage[] = [];
  return {
    requests,
    listener: (request, response) => {
      requests.push(request);
      answers[Math.min(requests.length, answers.length) - 1]!(request, response);
    },
  };
}

function saying(status: number, body = '', headers: Record<string, string> = {}): RequestListener {
  return (_request, response) => response.writeHead(status, headers).end(body);
}

const cutting: RequestListener = (request) => request.socket.destroy();

t.test('a question is one request with these headers and no others', async (t) => {
  const { listener, requests } = answering(saying(200, 'yes'));
  const path = await scriptedServer(t, listener);
  t.equal(await ask({ ...at(path), namespace: 'team/a' }, { token: 'the-token' }), '200 yes');
  t.equal(await ask(at(path), { method: 'POST', path: 'auth/a%20b/login', body: '{}' }), '200 yes');
  t.same(
    requests.map(({ method, url, headers }) => [method, url, headers]),
    [
      [
        'GET',
        '/v1/secret/data/x',
        {
          host: 'localhost',
          connection: 'keep-alive',
          'x-vault-request': 'true',
          'x-vault-token': 'the-token',
          'x-vault-namespace': 'team/a',
        },
      ],
      [
        'POST',
        '/v1/auth/a%20b/login',
        {
          host: 'localhost',
          connection: 'keep-alive',
          'x-vault-request': 'true',
          'content-type': 'application/json',
          'content-length': '2',
        },
      ],
    ],
  );
});

t.test('what a server answers that can is given as it is', async (t) => {
  for (const status of [200, 204, 400, 403, 404, 405, 412]) {
    const path = await scriptedServer(t, saying(status, status === 204 ? '' : 'said'));
    t.match(await ask(at(path)), new RegExp(`^${status} (said)?$`));
  }
});

t.test('a server that cannot answer is asked again as often as that may help', async (t) => {
  const cases: [status: number, body: string, reason: string, times: number][] = [
    [429, '{"errors":["rate limit quota exceeded"]}', 'server_busy', 3],
    [500, '{"errors":["internal error"]}', 'server_error', 3],
    [502, 'a proxy', 'server_error', 3],
    [503, '{"errors":["no active Vault instance found"]}', 'server_error', 3],
    [503, '{"errors":["Vault is sealed"]}', 'server_sealed', 1],
    [307, '', 'server_standby', 1],
    [472, '', 'server_standby', 1],
    [473, '', 'server_standby', 1],
  ];
  for (const [status, body, reason, times] of cases) {
    const { listener, requests } = answering(saying(status, body));
    const path = await scriptedServer(t, listener);
    t.equal(await ask(at(path)), `backend_unavailable/${reason}`, `${status} ${body}`);
    t.equal(requests.length, times, `${times} times`);
  }
});

t.test('fewer rounds can be asked for', async (t) => {
  const { listener, requests } = answering(saying(500));
  t.equal(await ask(at(await scriptedServer(t, listener)), { rounds: 1 }), 'backend_unavailable/server_error');
  t.equal(requests.length, 1);
});

t.test('what passes is not noticed', async (t) => {
  for (const passing of [saying(429), saying(500), saying(429, '', { 'Retry-After': '0.2' }), cutting]) {
    const { listener } = answering(passing, saying(200, 'yes'));
    t.equal(await ask(at(await scriptedServer(t, listener))), '200 yes');
  }
});

t.test('a server that asks to be left alone for long is left alone', async (t) => {
  const { listener, requests } = answering(saying(429, '', { 'Retry-After': '30' }));
  t.equal(await ask(at(await scriptedServer(t, listener))), 'backend_unavailable/server_busy');
  t.equal(requests.length, 1);
});

t.test('a redirection is not followed, and the token goes nowhere else', async (t) => {
  const foreign = answering(saying(200, 'got it'));
  const elsewhere = await scriptedServer(t, foreign.listener);
  const path = await scriptedServer(t, saying(307, '', { Location: `unix:${elsewhere}` }));
  t.equal(await ask(at(path), { token: 'the-token' }), 'backend_unavailable/server_standby');
  t.equal(foreign.requests.length, 0);
});

t.test('connections that are cut are told when they go on being cut', async (t) => {
  const partly: RequestListener = (_request, response) => {
    response.writeHead(200, { 'Content-Length': '100' });
    response.write('half', () => response.socket?.destroy());
  };
  for (const cut of [cutting, partly]) {
    const { listener, requests } = answering(cut);
    t.equal(await ask(at(await scriptedServer(t, listener))), UNREACHABLE);
    t.equal(requests.length, 3);
  }
  t.equal(await ask(at(socketIn(t))), UNREACHABLE, 'nothing is there');
  const dead = socketIn(t);
  await leaveDeadSocket(dead);
  t.equal(await ask(at(dead)), UNREACHABLE, 'nobody listens');
});

const TWO_LENGTHS = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc';

t.test('what is no HTTP is told, and asked for once', async (t) => {
  const garbage = [
    'SSH-2.0-OpenSSH_9.2\r\n',
    '\u0015\u0003\u0001\u0000\u0002',
    'HTTP/1.1 nonsense\r\n\r\n',
    TWO_LENGTHS,
  ];
  for (const text of [...garbage, `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`]) {
    let connections = 0;
    const path = await rawServer(t, (socket) => {
      connections += 1;
      socket.once('data', () => socket.write(text));
    });
    t.equal(await ask(at(path)), 'backend_failed/unexpected_answer', JSON.stringify(text.slice(0, 30)));
    t.equal(connections, 1);
  }
});

t.test('a body is read up to the limit and no further, and the connection is closed', async (t) => {
  t.equal(await ask(at(await scriptedServer(t, saying(200, 'x'.repeat(1000))))), `200 ${'x'.repeat(1000)}`);
  let sent = 0;
  const endless: RequestListener = (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(10_000))) sent += 10_000;
    };
    response.on('drain', more);
    more();
  };
  const declared = saying(200, 'x'.repeat(1001), { 'Content-Length': '1001' });
  const tooLarge = 'backend_failed/value_too_large';
  t.equal(await ask(at(await scriptedServer(t, declared))), tooLarge);
  const closed: Promise<unknown>[] = [];
  const path = await scriptedServer(t, (request, response) => {
    closed.push(new Promise((resolve) => request.socket.once('close', resolve)));
    endless(request, response);
  });
  t.equal(await ask(at(path)), tooLarge);
  await Promise.all(closed);
  t.ok(sent < 10_000_000);
});

t.test('an answer that is no value counts by its status, however much comes with it', async (t) => {
  const much = 'x'.repeat(8_000_000);
  const cases: [status: number, told: string][] = [
    [404, '404 '],
    [403, '403 '],
    [503, 'backend_unavailable/server_error'],
    [429, 'backend_unavailable/server_busy'],
    [307, 'backend_unavailable/server_standby'],
  ];
  for (const [status, told] of cases) {
    t.equal(await ask(at(await scriptedServer(t, saying(status, much))), { rounds: 1 }), told);
  }
});

t.test('the pieces of a body are filled with zeros once they are put together', async (t) => {
  const buffers = watchBuffers(t);
  const canary = 'canary-in-a-body';
  const whole = await createClient(at(await scriptedServer(t, saying(200, canary))))({
    method: 'GET',
    path: 'x',
    maxBytes: 1000,
    signal: AbortSignal.timeout(30_000),
  });
  t.equal(buffers.retaining(canary), 1, 'the answer alone has it');
  if ('status' in whole) whole.body.fill(0);
  t.equal(buffers.retaining(canary), 0);
});

interface TlsServer {
  readonly address: ServerAddress;
  /** How many there have been. */
  readonly connections: () => number;
}

/** Answers with TLS at a port. */
async function tlsServer(t: Test, { certFile, keyFile }: Certificate): Promise<TlsServer> {
  // The key of a certificate may be too short for the server as well.
  const options = { cert: readFileSync(certFile), key: readFileSync(keyFile), ciphers: 'DEFAULT@SECLEVEL=0' };
  const server = createTlsServer(options, saying(200, 'yes')).listen(0, '127.0.0.1');
  let connections = 0;
  server.on('connection', () => (connections += 1));
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { address: { origin: `https://127.0.0.1:${port}` }, connections: () => connections };
}

t.test('a certificate', { skip: skipWithout(openssl()) }, async (t) => {
  const good = createCertificate(t);
  const { address } = await tlsServer(t, good);
  const addresses = [address];

  await t.test('that is not good for a server is told, and asked for once', async (t) => {
    const link = createCertificate(t, {
      extensions: ['basicConstraints=critical,CA:TRUE'],
      caExtensions: ['basicConstraints=critical,CA:TRUE,pathlen:0'],
    });
    const bad = [
      createCertificate(t, { extensions: ['extendedKeyUsage=clientAuth'] }),
      createCertificate(t, { newKey: ['rsa:768'] }),
      createCertificate(t, { signer: link }),
    ];
    for (const certificate of bad) {
      const { address, connections } = await tlsServer(t, certificate);
      t.equal(await ask({ addresses: [address], caFile: certificate.caFile }), 'backend_unavailable/server_untrusted');
      t.equal(connections(), 1);
    }
  });

  await t.test('of a CA is found in its file, whatever else is there', async (t) => {
    const folder = temporaryFolder(t);
    const [pem, key, other] = [good.caFile, good.keyFile, createCertificate(t).caFile].map((file) =>
      readFileSync(file, 'utf8'),
    );
    for (const content of [pem, `# ours\r\n\n${pem}`, `${key}${pem}`, `${other}${pem}`]) {
      t.equal(await ask({ addresses, caFile: writeFile(folder, 'ca.pem', content!) }), '200 yes');
    }
  });

  await t.test('that is missing in the file of the CA is told', async (t) => {
    const folder = temporaryFolder(t);
    const pem = readFileSync(good.caFile, 'utf8');
    const der = new X509Certificate(pem).raw;
    for (const content of ['', 'no certificate', pem.slice(0, 200), readFileSync(good.keyFile), der]) {
      const caFile = writeFile(folder, 'ca.pem', content);
      t.equal(await ask({ addresses, caFile }), 'backend_unavailable/credential_unreadable');
    }
  });
});

t.test('several addresses are tried in turn', async (t) => {
  const dead = socketIn(t);
  const good = await scriptedServer(t, saying(200, 'yes'));

  await t.test('one that is dead, sealed, in error or stands by is passed over', async (t) => {
    t.equal(await ask(at(dead, good)), '200 yes');
    for (const bad of [saying(503, 'sealed'), saying(500), saying(429), saying(307), cutting]) {
      t.equal(await ask(at(await scriptedServer(t, bad), good)), '200 yes');
    }
  });

  await t.test('one that answers is the end of it, whatever it says', async (t) => {
    const forbidding = await scriptedServer(t, saying(403, 'no'));
    t.equal(await ask(at(dead, forbidding, good)), '403 no');
  });

  await t.test('the one that answered is asked first from then on', async (t) => {
    const bad = answering(saying(500));
    const client = createClient(at(await scriptedServer(t, bad.listener), good));
    for (let round = 0; round < 3; round += 1) t.equal(await askWith(client), '200 yes');
    t.equal(bad.requests.length, 1);
  });

  await t.test('one that takes the connection and says nothing has its turn and no more', async (t) => {
    let connections = 0;
    const silent = await rawServer(t, () => (connections += 1));
    const asking = ask(at(silent, good));
    await until(() => connections === 1);
    collectGarbage(); // the turn must not be forgotten with it
    t.equal(await asking, '200 yes');
  });

  await t.test('one that says nothing until the time is up is the last to be asked after that', async (t) => {
    const silent = await rawServer(t, () => undefined);
    const client = createClient(at(silent, silent, good));
    for (let round = 0; round < 2; round += 1) {
      t.equal(await askWith(client, { signal: AbortSignal.timeout(50) }), TIMED_OUT);
    }
    t.equal(await askWith(client), '200 yes');
    t.equal(await askWith(client), '200 yes');
  });

  await t.test('of several failures the one is told that somebody said', async (t) => {
    const sealed = await scriptedServer(t, saying(503, 'sealed'));
    t.equal(await ask(at(sealed, dead)), 'backend_unavailable/server_sealed');
    t.equal(await ask(at(dead, sealed)), 'backend_unavailable/server_sealed');
    t.equal(await ask(at(dead, socketIn(t))), UNREACHABLE);
  });
});

t.test('the end of the time is an answer, and nothing goes on after it', async (t) => {
  await t.test('while the server is silent, or in the middle of a body', async (t) => {
    const half = (_request: IncomingMessage, response: ServerResponse): void => {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('half');
    };
    for (const listener of [() => undefined, half] as RequestListener[]) {
      const sockets: Socket[] = [];
      const path = await scriptedServer(t, (request, response) => {
        sockets.push(request.socket);
        listener(request, response);
      });
      const controller = new AbortController();
      const asking = ask(at(path), { signal: controller.signal });
      const socket = await until(() => sockets[0]);
      controller.abort();
      t.equal(await asking, TIMED_OUT);
      await until(() => socket.destroyed);
      t.equal(sockets.length, 1);
    }
  });

  await t.test('while the TLS of a connection is agreed upon', async (t) => {
    const sockets: Socket[] = [];
    const socketPath = await rawServer(t, (socket) => sockets.push(socket));
    const controller = new AbortController();
    const asking = ask({ addresses: [{ origin: 'https://localhost', socketPath }] }, { signal: controller.signal });
    const socket = await until(() => sockets[0]);
    controller.abort();
    t.equal(await asking, TIMED_OUT);
    const error = await new Promise((resolve) => socket.write('no TLS', resolve));
    t.notOk(error, 'the answer was there before the connection was given up');
    await until(() => socket.destroyed);
    t.equal(sockets.length, 1);
  });

  await t.test('between two rounds', async (t) => {
    const { listener, requests } = answering(saying(429, '', { 'Retry-After': '1' }));
    const controller = new AbortController();
    const asking = ask(at(await scriptedServer(t, listener)), { signal: controller.signal });
    await until(() => requests.length === 1);
    // The answer has to come back before.
    await new Promise((resolve) => setTimeout(resolve, 100));
    controller.abort();
    t.equal(await asking, TIMED_OUT);
    t.equal(requests.length, 1);
  });

  await t.test('before anything', async (t) => {
    let connections = 0;
    const path = await rawServer(t, (socket) => {
      connections += 1;
      socket.end('no HTTP');
    });
    t.equal(await ask(at(path), { signal: AbortSignal.abort() }), TIMED_OUT);
    t.equal(await ask(at(path)), 'backend_failed/unexpected_answer');
    t.equal(connections, 1, 'that of the second question');
  });
});

t.test('a connection is used again, and closed when it is idle', async (t) => {
  const sockets = new Set<Socket>();
  const path = await scriptedServer(t, (request, response) => {
    sockets.add(request.socket);
    response.end('yes');
  });
  const client = createClient(at(path));
  for (let round = 0; round < 5; round += 1) t.equal(await askWith(client), '200 yes');
  t.ok(sockets.size <= 2);
  await until(() => [...sockets].every((socket) => socket.destroyed));
});

t.test('connections that are cut when they are used again are no failure, whoever else asks', async (t) => {
  const used = new Set<Socket>();
  const path = await scriptedServer(t, (request, response) => {
    if (used.has(request.socket)) request.socket.destroy();
    else response.end('yes');
    used.add(request.socket);
  });
  const client = createClient(at(path));
  const askOften = async (): Promise<string[]> => {
    const answers: string[] = [];
    for (let round = 0; round < 20; round += 1) answers.push(await askWith(client));
    return answers;
  };
  const answers = await Promise.all(Array.from({ length: 8 }, askOften));
  t.same(new Set(answers.flat()), new Set(['200 yes']));
});
