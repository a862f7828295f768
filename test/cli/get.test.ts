import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { rmSync } from 'node:fs';
import { type RequestListener } from 'node:http';
import { type Socket } from 'node:net';
import { relative } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { run } from '../../src/cli/run.js';
import { ERROR_CODES } from '../../src/domain/errors.js';
import { memoryIo, READER_IS_GONE } from '../support/io.js';
import {
  leaveDeadSocket,
  problemListener,
  rawServer,
  respond,
  scriptedServer,
  socketIn,
} from '../support/scripted_server.js';

const VALUE = Buffer.from('value\0\xff\r\n\n', 'latin1');

const give: RequestListener = (_request, response) => respond(response, 200, 'application/octet-stream', VALUE);

/** The interface contract's exit statuses of `get`, by the code of the answer. */
const STATUS: Readonly<Record<string, number>> = {
  invalid_secret_name: 64,
  unknown_secret: 66,
  secret_not_found: 66,
  access_denied: 77,
  peer_denied: 77,
  overloaded: 75,
  shutting_down: 75,
  audit_unavailable: 75,
  backend_timeout: 75,
  backend_unavailable: 69,
  backend_locked: 69,
  backend_failed: 69,
  invalid_request: 70,
  not_found: 70,
  method_not_allowed: 70,
  not_acceptable: 70,
  internal_error: 70,
};

t.test('get prints the bytes of the value alone', async (t) => {
  const socket = await scriptedServer(t, give);
  const io = memoryIo();
  t.equal(await run(['get', 'api_key', '--socket', socket], io), 0);
  t.same(io.bytes(), VALUE);
  t.equal(io.errors(), '');
});

t.test('get adds a line ending on a terminal only', async (t) => {
  const socket = await scriptedServer(t, give);
  const io = memoryIo({ isTTY: true });
  t.equal(await run(['get', 'api_key', '--socket', socket], io), 0);
  t.same(io.bytes(), Buffer.concat([VALUE, Buffer.from('\n')]));
});

t.test('get asks for the bytes of the name that was given', async (t) => {
  let asked: unknown;
  const socket = await scriptedServer(t, (request, response) => {
    asked = [request.method, request.url, request.headers.accept];
    give(request, response);
  });
  await run(['get', 'api_key', '--socket', socket], memoryIo());
  t.same(asked, ['GET', '/secrets/api_key', 'application/octet-stream']);
});

t.test('the socket', async (t) => {
  const socket = await scriptedServer(t, give);

  t.test('is $MXM_SECRETSD_SOCKET by default', async (t) => {
    t.equal(await run(['get', 'api_key'], memoryIo({ environment: { MXM_SECRETSD_SOCKET: socket } })), 0);
  });
  t.test('is what --socket says before what the environment says', async (t) => {
    const environment = { MXM_SECRETSD_SOCKET: '/nonexistent/s.sock' };
    t.equal(await run(['get', 'api_key', '--socket', socket], memoryIo({ environment })), 0);
  });
  t.test('is missing where both are empty', async (t) => {
    t.equal(await run(['get', 'api_key'], memoryIo({ environment: { MXM_SECRETSD_SOCKET: '' } })), 64);
  });
  t.test('may be relative', async (t) => {
    t.equal(await run(['get', 'api_key', '--socket', relative(process.cwd(), socket)], memoryIo()), 0);
  });
  t.test('may not be longer than an address: some Nodes would ask another', async (t) => {
    const io = memoryIo({ environment: { MXM_SECRETSD_SOCKET: `/${'é'.repeat(54)}` } });
    t.equal(await run(['get', 'api_key'], io), 64);
    t.match(io.errors(), /107 bytes/);
  });
});

t.test('a name that is no identifier ends with 64 and asks nobody', async (t) => {
  const name = fc.oneof(
    fc.constantFrom('', '../a', 'a/b', 'a?b', 'a#', '%61', 'A', 'a\n', 'a'.repeat(129), '_a', '1a', 'é'),
    fc.string().filter((text) => !/^[a-z][a-z0-9_]{0,127}$/.test(text)),
  );
  await fc.assert(
    fc.asyncProperty(name, async (text) => {
      const io = memoryIo();
      // A daemon that was asked would be missed: 69.
      t.equal(await run(['get', '--socket', '/nonexistent/s.sock', '--', text], io), 64);
      t.equal(io.text(), '');
      t.match(io.errors(), /^mxm-secretsd get: invalid_secret_name: /);
    }),
    { numRuns: 50 },
  );
});

t.test('every code of an answer has its exit status, and prints nothing', async (t) => {
  t.same(Object.keys(STATUS).sort(), [...ERROR_CODES].sort(), 'the list is complete');
  for (const code of ERROR_CODES) {
    const io = memoryIo();
    const socket = await scriptedServer(t, problemListener(code));
    t.equal(await run(['get', 'api_key', '--socket', socket], io), STATUS[code], code);
    t.equal(io.text(), '');
    t.match(io.errors(), new RegExp(`^mxm-secretsd get: ${code}: .+\n$`));
  }
});

t.test('a code of a newer daemon ends with 70', async (t) => {
  const io = memoryIo();
  const socket = await scriptedServer(t, (_request, response) => {
    respond(response, 403, 'application/problem+json; charset=utf-8', '{"code":"code_of_tomorrow"}');
  });
  t.equal(await run(['get', 'api_key', '--socket', socket], io), 70);
  t.equal(io.errors(), 'mxm-secretsd get: code_of_tomorrow: a code that this version does not know\n');
});

t.test('no daemon ends with 69', async (t) => {
  const socket = socketIn(t);
  const io = memoryIo();
  t.equal(await run(['get', 'api_key', '--socket', socket], io), 69);
  t.equal(io.text(), '');
  t.equal(io.errors(), `mxm-secretsd get: no daemon answers at ${socket} (ENOENT)\n`);
});

t.test('something else at the socket ends with 69 and prints nothing', async (t) => {
  const ok = (headers: string, body: string) => (socket: Socket) => {
    socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\n${headers}\r\n${body}`));
  };
  const bytes = 'Content-Type: application/octet-stream\r\n';
  const id = 'X-Request-Id: r\r\n';
  const whole = (type: string, body: string) =>
    ok(`Content-Type: ${type}\r\n${id}Content-Length: ${body.length}\r\n`, body);
  const strangers: Record<string, (socket: Socket) => void> = {
    'closes at once': (socket) => socket.destroy(),
    'ends without an answer': (socket) => socket.once('data', () => socket.end()),
    'greets like a mail server': (socket) => socket.write('220 mail.example.org ESMTP\r\n'),
    'sends a part of the head': (socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-')),
    'breaks off in the middle': ok(`${bytes}${id}Content-Length: 10\r\n`, 'half'),
    'breaks off before the first byte': ok(`${bytes}${id}Content-Length: 10\r\n`, ''),
    'sends more than it says': ok(`${bytes}${id}Content-Length: 3\r\n`, 'value'),
    'has two lengths': ok(`${bytes}${id}Content-Length: 5\r\nContent-Length: 6\r\n`, 'value'),
    'has a length that is no number': ok(`${bytes}${id}Content-Length: five\r\n`, 'value'),
    'breaks off a chunk': ok(`${bytes}${id}Transfer-Encoding: chunked\r\n`, '5\r\nval'),
    'breaks off between chunks': ok(`${bytes}${id}Transfer-Encoding: chunked\r\n`, '5\r\nvalue\r\n'),
    'says no length, so that a part would look like the whole': ok(`${bytes}${id}`, 'value'),
    'gives its answers no id': ok(`${bytes}Content-Length: 5\r\n`, 'value'),
    'has another type': whole('text/html', 'value'),
    'has no type': ok(`${id}Content-Length: 5\r\n`, 'value'),
    'has no code in its problem': whole('application/problem+json', '{}'),
    'has no object in its problem': whole('application/problem+json', 'null'),
    'has no JSON in its problem': whole('application/problem+json', '{'),
    'has a code that a terminal would obey': whole('application/problem+json', '{"code":"\\u001b[2J"}'),
  };
  for (const [what, onConnection] of Object.entries(strangers)) {
    const socket = await rawServer(t, onConnection);
    const io = memoryIo();
    t.equal(await run(['get', 'api_key', '--socket', socket], io), 69, what);
    t.equal(io.text(), '', what);
    t.equal(io.errors(), `mxm-secretsd get: what answers at ${socket} is no mxm-secretsd, or it broke off\n`, what);
  }
});

t.test('a good answer with a status other than 200 is none', async (t) => {
  const socket = await scriptedServer(t, (_request, response) => {
    respond(response, 203, 'application/octet-stream', VALUE);
  });
  const io = memoryIo();
  t.equal(await run(['get', 'api_key', '--socket', socket], io), 69);
  t.equal(io.text(), '');
});

t.test('a reader of stdout that is gone ends with 70', async (t) => {
  const socket = await scriptedServer(t, give);
  t.equal(await run(['get', 'api_key', '--socket', socket], memoryIo({ broken: READER_IS_GONE })), 70);
});

t.test('--wait', (t) => {
  /** Resolves when the next client socket is made, that is, when a try begins. */
  const nextTry = (): Promise<void> =>
    new Promise((resolve) => {
      const seen = (): void => {
        unsubscribe('net.client.socket', seen);
        resolve();
      };
      subscribe('net.client.socket', seen);
    });

  t.test('waits for a daemon that appears later', async (t) => {
    const socket = socketIn(t);
    const first = nextTry();
    const io = memoryIo();
    const status = run(['get', 'api_key', '--socket', socket, '--wait', '60'], io);
    await first;
    await nextTry(); // so that the first has failed
    await scriptedServer(t, give, socket);
    t.equal(await status, 0);
    t.same(io.bytes(), VALUE);
  });

  t.test('waits for a daemon whose dead predecessor has left a socket', async (t) => {
    const socket = socketIn(t);
    await leaveDeadSocket(socket);
    const first = nextTry();
    const status = run(['get', 'api_key', '--socket', socket, '--wait', '60'], memoryIo());
    await first;
    await nextTry();
    rmSync(socket);
    await scriptedServer(t, give, socket);
    t.equal(await status, 0);
  });

  t.test('asks again while the answer is retryable', async (t) => {
    for (const code of ERROR_CODES.filter((each) => [69, 75].includes(STATUS[each]!) && each !== 'backend_failed')) {
      let asked = 0;
      const socket = await scriptedServer(t, (request, response) => {
        asked += 1;
        (asked < 3 ? problemListener(code) : give)(request, response);
      });
      t.equal(await run(['get', 'api_key', '--socket', socket, '--wait', '60'], memoryIo()), 0, code);
      t.equal(asked, 3);
    }
  });

  t.test('goes by what the answer says of itself', async (t) => {
    let asked = 0;
    const socket = await scriptedServer(t, (request, response) => {
      asked += 1;
      if (asked === 2) give(request, response);
      else respond(response, 503, 'application/problem+json', '{"code":"code_of_tomorrow","retryable":true}');
    });
    t.equal(await run(['get', 'api_key', '--socket', socket, '--wait', '60'], memoryIo()), 0);
  });

  t.test('does not ask again when the answer is final', async (t) => {
    for (const code of ERROR_CODES.filter(
      (each) => [64, 66, 70, 77].includes(STATUS[each]!) || each === 'backend_failed',
    )) {
      let asked = 0;
      const socket = await scriptedServer(t, (request, response) => {
        asked += 1;
        problemListener(code)(request, response);
      });
      t.equal(await run(['get', 'api_key', '--socket', socket, '--wait', '60'], memoryIo()), STATUS[code], code);
      t.equal(asked, 1);
    }
  });

  t.test('does not ask a stranger again', async (t) => {
    let asked = 0;
    const socket = await rawServer(t, (stranger) => {
      asked += 1;
      stranger.destroy();
    });
    t.equal(await run(['get', 'api_key', '--socket', socket, '--wait', '60'], memoryIo()), 69);
    t.equal(asked, 1);
  });

  t.test('ends with what the last answer says', async (t) => {
    let asked = 0;
    const socket = await scriptedServer(t, (request, response) => {
      asked += 1;
      problemListener(asked === 1 ? 'overloaded' : 'backend_locked')(request, response);
    });
    const io = memoryIo();
    t.equal(await run(['get', 'api_key', '--socket', socket, '--wait', '0.2'], io), 69);
    t.ok(asked > 1);
    t.match(io.errors(), /^mxm-secretsd get: backend_locked: .+\n$/, 'and tells it once');
  });

  t.test('takes decimals', async (t) => {
    const socket = await scriptedServer(t, give);
    for (const seconds of ['0', '1', '007', '0.5', '.5', '1.', '99999999999']) {
      t.equal(await run(['get', 'api_key', '--socket', socket, '--wait', seconds], memoryIo()), 0, seconds);
    }
  });

  t.test('takes nothing but decimals', async (t) => {
    for (const seconds of [
      '',
      ' ',
      '-1',
      '+1',
      '1e3',
      '0x10',
      'Infinity',
      'NaN',
      '1,5',
      '1.5.',
      '.',
      '1s',
      ' 1',
      '1\n',
      '١',
    ]) {
      const io = memoryIo();
      t.equal(
        await run(['get', 'api_key', '--socket', '/nonexistent', `--wait=${seconds}`], io),
        64,
        JSON.stringify(seconds),
      );
      t.match(io.errors(), /--wait SECONDS must be a number/);
    }
  });

  t.end();
});
