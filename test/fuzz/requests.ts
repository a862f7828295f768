import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import fc from 'fast-check';
import { isIdentifier } from '../../src/domain/identifier.js';
import { Connection, sendAndEnd } from './connection.js';
import { contractCode, takeAnswer, type WireAnswer } from './contract.js';
import { property, type Property } from './property.js';

export const ALLOWED = { api_key: 'readable-value-of-api', other_key: 'readable-value-of-other' } as const;
export const DENIED = {
  master_key: 'forbidden-value-of-master',
  constructor: 'forbidden-value-of-constructor',
} as const;

/** In each value; no answer holds the one, and no error the other. */
const DENIED_MARK = 'forbidden-value';
const ALLOWED_MARK = 'readable-value';

const ROUTES = ['/secrets', '/identity', '/healthz', '/readyz', '/metrics', '/openapi.json'];
const NAMES = [...Object.keys(ALLOWED), ...Object.keys(DENIED), 'absent_key', '__proto__', 'toString'];

function characters(text: string): fc.Arbitrary<string> {
  return fc.constantFrom(...Array.from(text));
}

/** Each byte that the parser lets stand in a target, as text. */
const targetCharacter = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
const anyText = fc.string({ unit: targetCharacter, maxLength: 40 });
const nearIdentifier = fc.string({
  unit: characters('abz_09AZ-.%/?#;:~'),
  maxLength: 200,
});

/** A known name with a piece put in, left out, doubled, or escaped. */
const nearName = fc
  .tuple(
    fc.constantFrom(...NAMES),
    fc.nat(20),
    fc.constantFrom('', '%', '%20', '%2e', '%2f', '%00', '..', '/', '?', '#', ';', 'A', '_', '\\', '%6d', '%6D'),
    fc.nat(2),
  )
  .map(([name, at, piece, cut]) => name.slice(0, at) + piece + name.slice(at + cut));

const name = fc.oneof(fc.constantFrom(...NAMES), nearName, nearName, nearIdentifier, anyText);

function request(line: string, headers: readonly (readonly [string, string])[] = []): Buffer {
  const lines = [`${line} HTTP/1.1`, 'Host: localhost', ...headers.map((pair) => pair.join(': '))];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** By the README alone: what a name gets that stands so in the URL. */
function codeOfName(text: string): string {
  const [path = ''] = text.split('?');
  if (path.includes('/')) return 'not_found';
  if (text.includes('?')) return 'invalid_request';
  if (!isIdentifier(text)) return 'invalid_secret_name';
  if (Object.hasOwn(ALLOWED, text)) return 'ok';
  return Object.hasOwn(DENIED, text) ? 'access_denied' : 'unknown_secret';
}

function noValue(bytes: Buffer, mark: string, what: string): void {
  assert(!bytes.includes(mark), what);
}

export function requestProperties(socket: string, came: (code: string) => void): readonly Property[] {
  function judge(answer: WireAnswer): string {
    const code = contractCode(answer);
    noValue(answer.body, DENIED_MARK, 'the value of a denied name');
    if (code !== 'ok') noValue(answer.body, ALLOWED_MARK, 'a value in an error');
    came(code === 'parser' ? `${answer.status} by the parser` : `${answer.status} ${code}`);
    return code;
  }

  const names = new Connection(socket);
  const paths = new Connection(socket);
  const headers = new Connection(socket);

  return [
    property(
      'names',
      0.3,
      fc.asyncProperty(name, async (text) => {
        const answer = await names.ask(request(`GET /secrets/${text}`, [['Accept', 'text/plain']]));
        assert.equal(judge(answer), codeOfName(text));
        if (answer.status !== 200) return;
        assert.equal(answer.body.toString('latin1'), ALLOWED[text as keyof typeof ALLOWED]);
      }),
    ),
    property(
      'methods and paths',
      0.2,
      fc.asyncProperty(
        fc.constantFrom('GET', 'GET', 'GET', ...METHODS.filter((method) => !['CONNECT', 'HEAD'].includes(method))),
        fc.oneof(
          fc.constantFrom(...ROUTES, '*', '/', '//', 'http://localhost/secrets', 'localhost:80'),
          fc.tuple(fc.constantFrom(...ROUTES), anyText).map((parts) => parts.join('')),
          fc
            .tuple(fc.constantFrom('http://h', '/.', '/secrets/..', '//'), fc.constantFrom(...ROUTES))
            .map((parts) => parts.join('')),
          anyText.map((text) => `/${text}`),
          name.map((text) => `/secrets/${text}`),
        ),
        async (method, target) => {
          const answer = await paths.ask(request(`${method} ${target}`));
          const code = judge(answer);
          if (method !== 'GET') assert(['method_not_allowed', 'not_found', 'parser'].includes(code), code);
        },
      ),
    ),
    property(
      'headers',
      0.22,
      fc.asyncProperty(
        fc.constantFrom(...ROUTES, ...NAMES.map((known) => `/secrets/${known}`)),
        fc.array(fc.tuple(headerName, headerValue), { maxLength: 8 }),
        async (target, lines) => {
          judge(await headers.ask(request(`GET ${target}`, lines)));
        },
      ),
    ),
    property(
      'raw bytes',
      0.2,
      fc.asyncProperty(rawBytes, async (bytes) => {
        const received = await sendAndEnd(socket, bytes);
        noValue(received, DENIED_MARK, 'the value of a denied name');
        let rest = received;
        while (rest.length > 0) {
          const taken = takeAnswer(rest, true);
          assert(taken, `half an answer: ${rest.toString('latin1')}`);
          if (taken.answer.status !== 100) judge(taken.answer);
          rest = taken.rest;
        }
      }),
    ),
  ];
}

// --- what makes up headers and raw bytes

/** What frames a message, or ends the connection, is for the raw bytes. */
const headerName = fc.oneof(
  fc.constantFrom(
    'Accept',
    'Accept',
    'Accept-Encoding',
    'Authorization',
    'Cookie',
    'Forwarded',
    'Via',
    'X-Forwarded-For',
  ),
  fc.constantFrom('X-Request-Id', 'Range', 'If-None-Match', 'Origin', 'Host2', '__proto__', 'constructor', 'X-Role'),
  fc.string({ unit: characters('aZ09-_!~.'), minLength: 1, maxLength: 20 }).map((text) => `x${text}`),
);
const headerValue = fc.oneof(
  fc.constantFrom('*/*', 'text/plain', 'application/json;q=0', 'image/png', 'text/*;q=0.5, */*;q=0', 'marketdata', ''),
  fc.string({ unit: characters('atexplinjso/*;q=01., "\\\t'), maxLength: 60 }),
  // No control character: they are for the raw bytes.
  fc.string({
    unit: fc
      .integer({ min: 0x20, max: 0xff })
      .filter((code) => code !== 0x7f)
      .map((code) => String.fromCharCode(code)),
    maxLength: 80,
  }),
);

const framing = fc.constantFrom(
  ...[
    'Content-Length: 0',
    'Content-Length: 3',
    'Content-Length: -1',
    'Content-Length: 3, 3',
    'Transfer-Encoding: chunked',
  ],
  ...['Transfer-Encoding: gzip', 'Connection: close', 'Connection: keep-alive', 'Connection: upgrade', 'Upgrade: h2c'],
  ...[
    'Expect: 100-continue',
    'Expect: more',
    'Accept: text/plain',
    ' folded',
    'no colon',
    'X\0: y',
    'Trailer: x',
    'Host: b',
  ],
);

const wholeRequest = fc
  .tuple(
    fc.constantFrom('GET', 'GET', 'GET', 'GET', 'POST', 'HEAD', 'CONNECT', 'OPTIONS', 'get'),
    fc.oneof(
      fc.constantFrom(...ROUTES),
      name.map((text) => `/secrets/${text}`),
    ),
    fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/1.1 x'),
    fc.constantFrom('Host: a', 'Host: a', 'Host: a', 'Host: a', 'X: y'),
    fc.oneof(fc.constant([]), fc.array(framing, { maxLength: 3 })),
    fc.constantFrom(
      '',
      '',
      '',
      '',
      'abc',
      '3\r\nabc\r\n0\r\n\r\n',
      '0\r\n\r\n',
      'ffffffffffffffff\r\n',
      '3;x=y\r\nabc\r\n',
    ),
  )
  .map(([method, target, version, host, lines, body]) =>
    Buffer.from(`${[`${method} ${target} ${version}`, host, ...lines].join('\r\n')}\r\n\r\n${body}`, 'latin1'),
  );

/** Cuts a piece out and puts another in its place. */
const damaged = fc
  .tuple(wholeRequest, fc.nat(), fc.nat(6), fc.uint8Array({ maxLength: 4 }))
  .map(([bytes, where, cut, piece]) => {
    const at = where % (bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + cut)]);
  });

const rawBytes = fc
  .array(
    fc.oneof(
      wholeRequest,
      damaged,
      damaged,
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    ),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  .map((pieces) => Buffer.concat(pieces));
