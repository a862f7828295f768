import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { ERROR_CODES, isRetryable } from '../../src/domain/errors.js';
import { STATUS_OF } from '../../src/http/status.js';
import { testApp } from '../support/app.js';
import { onPath, realComponent } from '../support/real_component.js';
import { problemListener, rawServer, respond, scriptedServer, socketIn } from '../support/scripted_server.js';
import type { Ending } from '../support/temporary.js';

const execute = promisify(execFile);
const python = realComponent('python3', onPath('python3'));
const CLIENT = fileURLToPath(new URL('../../clients/python', import.meta.url));

/** Prints what an expression gives or raises, as JSON. `api` is the client, `Identity` the type of mxm-secrets. */
const SCRIPT = `
import json, sys
from dataclasses import dataclass
import mxm_secretsd
from mxm_secretsd import *

@dataclass(frozen=True)
class Identity:
    app: str = None
    environment: str = "dev"
    machine: str = "bridge"
    substrate: str = None
    role: str = "marketdata"

identity = Identity()
try:
    api = SecretsApi(sys.argv[1], wait=float(sys.argv[3]))
    value = eval(sys.argv[2])
    print(json.dumps({"value": list(value) if isinstance(value, bytes) else value}))
except Exception as error:
    print(json.dumps({"raised": [kind.__name__ for kind in type(error).__mro__], "message": str(error),
        "answer": [getattr(error, "code", None), getattr(error, "status", None), getattr(error, "retryable", None)]}))
`;

interface Outcome {
  readonly value?: unknown;
  readonly raised?: readonly string[];
  readonly message?: string;
  readonly answer?: readonly unknown[];
}

async function evaluate(socket: string, expression: string, wait = 0): Promise<Outcome> {
  const env = { ...process.env, PYTHONPATH: CLIENT, PYTHONDONTWRITEBYTECODE: '1' };
  const { stdout } = await execute(python.file, ['-c', SCRIPT, socket, expression, String(wait)], { env });
  return JSON.parse(stdout) as Outcome;
}

/** A daemon of the same identity that answers a secret like this. */
function answering(t: Ending, listener: Parameters<typeof scriptedServer>[1]): Promise<string> {
  const identity = { machine: 'bridge', environment: 'dev', role: 'marketdata' };
  return scriptedServer(t, (request, response) => {
    if (request.url !== '/identity') listener(request, response);
    else
      respond(response, 200, 'application/json; charset=utf-8', JSON.stringify({ identity, principal: 'marketdata' }));
  });
}

const ask = (more = ''): string => `api.get_secret(secret_name="api_key", identity=identity${more})`;

t.test('the call of mxm-secrets gives the value', { skip: python.skip }, async (t) => {
  const socket = await testApp(t).listen();
  t.same(await evaluate(socket, ask()), { value: 'the value' });
  t.same(await evaluate(socket, 'api.get_secret("api_key", identity=identity)'), { value: 'the value' });
  t.same(await evaluate(socket, ask().replace('get_secret', 'get_secret_bytes')), {
    value: [...Buffer.from('the value')],
  });
  t.same(await evaluate(socket, 'api.get_secret("api_key", identity=vars(identity))'), { value: 'the value' });
  t.same(await evaluate(socket, 'api.check_ready()'), { value: true });
});

t.test(
  'another identity than the daemon’s is refused before a secret is asked for',
  { skip: python.skip },
  async (t) => {
    const test = testApp(t);
    const socket = await test.listen();
    for (const other of ['role="research"', 'machine="elsewhere"', 'environment="prod"', 'app="another"']) {
      const { raised = [] } = await evaluate(socket, `api.get_secret("api_key", identity=Identity(${other}))`);
      t.ok(raised.includes('IdentityMismatch') && raised.includes('PermissionError'), other);
    }
    t.same(test.audit, []);
  },
);

t.test(
  'an unknown name is a KeyError, a denied one a PermissionError, default or not',
  { skip: python.skip },
  async (t) => {
    const socket = await testApp(t).listen();
    const unknown = await evaluate(socket, 'api.get_secret("nothing", identity=identity, default="x")');
    t.ok(unknown.raised?.includes('KeyError'));
    t.same(unknown.answer, ['unknown_secret', 404, false]);
    t.match(unknown.message, /^unknown_secret: no ref/);
    const denied = await evaluate(socket, 'api.get_secret("guarded", identity=identity, default="x")');
    t.ok(denied.raised?.includes('PermissionError'));
    t.same(denied.answer, ['access_denied', 403, false]);
    const invalid = await evaluate(socket, 'api.get_secret("../x", identity=identity, default="x")');
    t.ok(invalid.raised?.includes('ValueError'));
  },
);

t.test(
  'a default stands in for what the backend cannot give, and for nothing else',
  { skip: python.skip },
  async (t) => {
    const standsIn = ['secret_not_found', 'backend_failed', 'backend_unavailable', 'backend_locked', 'backend_timeout'];
    for (const code of ERROR_CODES) {
      const socket = await answering(t, problemListener(code));
      const outcome = await evaluate(socket, ask(', default="x"'));
      if (standsIn.includes(code)) t.same(outcome, { value: 'x' }, code);
      else t.same(outcome.answer, [code, STATUS_OF[code], isRetryable(code)], code);
    }
    t.same(await evaluate(await answering(t, problemListener('backend_failed')), ask()), { value: null });
  },
);

t.test('no daemon is a ConnectionError, whatever the default', { skip: python.skip }, async (t) => {
  const others = [
    socketIn(t),
    await rawServer(t, (socket) => socket.end('SSH-2.0-OpenSSH\r\n')),
    await answering(t, (_request, response) => response.end('hello')),
    await answering(t, (_request, response) => respond(response, 200, 'text/html', '<p>')),
    await answering(t, (_request, response) => respond(response, 503, 'application/problem+json', '{"code":7}')),
    await answering(t, (_request, response) => {
      response.writeHead(200, { 'X-Request-Id': 'r' }).write('and so on, without an end');
    }),
    await answering(t, (_request, response) => {
      response.writeHead(200, { 'Content-Length': 10, 'X-Request-Id': 'r' }).write('half');
      response.destroy();
    }),
  ];
  for (const [index, socket] of others.entries()) {
    const { raised = [], answer } = await evaluate(socket, ask(', default="x"'));
    t.ok(raised.includes('DaemonUnavailable') && raised.includes('ConnectionError'), String(index));
    t.same(answer, index === 0 ? ['backend_unavailable', null, true] : ['backend_failed', null, false]);
  }
  t.same(await evaluate(others[0]!, 'api.check_ready()'), { value: false });
});

t.test('what tells no identity is no daemon, whatever it says', { skip: python.skip }, async (t) => {
  for (const body of ['', '7', '{}', '[]', '{"identity":7}', '{"identity":["machine"]}']) {
    const socket = await scriptedServer(t, (_request, response) => respond(response, 200, 'application/json', body));
    const { raised = [], answer } = await evaluate(socket, ask(', default="x"'));
    t.ok(raised.includes('DaemonUnavailable') && !raised.includes('KeyError'), body);
    t.same(answer, ['backend_failed', null, false], body);
  }
});

t.test('an error survives the way between two processes', { skip: python.skip }, async (t) => {
  const socket = await testApp(t).listen();
  const program = `
import pickle
try:
    api.get_secret("nothing", identity=identity)
except UnknownSecret as error:
    again = pickle.loads(pickle.dumps(error))
    value = [type(again).__name__, str(again) == str(error), again.code, again.detail, again.status, again.retryable]`;
  t.same(await evaluate(socket, `exec(${JSON.stringify(program)}) or value`), {
    value: ['UnknownSecret', true, 'unknown_secret', 'no ref of that name is configured', 404, false],
  });
});

t.test('with `wait` it tries again while that may help', { skip: python.skip }, async (t) => {
  let asked = 0;
  const socket = await answering(t, (request, response) => {
    asked += 1;
    if (asked === 1) problemListener('overloaded')(request, response);
    else respond(response, 200, 'application/octet-stream', 'at last');
  });
  t.same(await evaluate(socket, ask(), 60), { value: 'at last' });
  t.equal(asked, 2);
});

t.test('what is told of an error holds nothing that a terminal would act upon', { skip: python.skip }, async (t) => {
  const problem = { code: 'access_denied', detail: 'a\x1b[31m\nb\u202eé', retryable: false };
  const socket = await answering(t, (_request, response) => {
    respond(response, 403, 'application/problem+json', JSON.stringify(problem));
  });
  t.match(await evaluate(socket, ask()), { message: 'access_denied: a\ufffd[31m\ufffdb\ufffdé' });
});

t.test('a value that is not UTF-8 is no text', { skip: python.skip }, async (t) => {
  const socket = await answering(t, (_request, response) =>
    respond(response, 200, 'application/octet-stream', Buffer.from([0xff])),
  );
  t.same((await evaluate(socket, ask())).answer, ['not_acceptable', 200, false]);
  t.same(await evaluate(socket, ask().replace('get_secret', 'get_secret_bytes')), { value: [0xff] });
});

t.test('a time to wait that is no number is refused, as it would never be over', { skip: python.skip }, async (t) => {
  for (const wait of ['float("nan")', '-1']) {
    const { raised } = await evaluate('/s', `SecretsApi("/s", wait=${wait})`);
    t.ok(raised?.includes('ValueError'), wait);
  }
});

t.test('without a socket there is nothing to ask', { skip: python.skip }, async (t) => {
  const { raised } = await evaluate('', 'api');
  t.ok(raised?.includes('ValueError'));
});
