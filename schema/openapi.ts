import swagger from '@fastify/swagger';
import { Type, type TSchema } from '@sinclair/typebox';
import { fastify } from 'fastify';
import { ERROR_CODES, type ErrorCode } from '../src/domain/errors.js';
import { IDENTIFIER_PATTERN } from '../src/domain/identifier.js';
import { declareRoutes, type RouteParts } from '../src/http/app.js';
import { STATUS_OF } from '../src/http/status.js';
import { VERSION } from '../src/version.js';

const SECRET = '/secrets/:name';

/** What is told of every answer. */
const HEADERS = {
  'Cache-Control': { type: 'string', const: 'no-store' },
  'X-Request-Id': { type: 'string', description: 'of the audit record and of the log' },
};

const RETRY_AFTER = { 'Retry-After': { type: 'integer', description: 'seconds to wait before the next try' } };

const secret = Type.Object({
  name: Type.String({ pattern: IDENTIFIER_PATTERN }),
  value: Type.String(),
  encoding: Type.Optional(Type.Literal('base64', { description: 'when the value is not UTF-8' })),
});

const binary = { type: 'string', contentMediaType: 'application/octet-stream' };

interface RouteSchema {
  readonly response?: Readonly<Record<string, TSchema>>;
}

/** The document of the routes as they are declared, with the answers that all of them share. */
export async function openapiDocument(): Promise<object> {
  const app = fastify({ exposeHeadRoutes: false });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'mxm-secretsd',
        version: VERSION,
        description: 'HTTP/1.1 over a Unix socket. The host name in the URL does not matter.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: 'http://localhost' }],
    },
    transform: ({ schema, url, route }) => {
      const { summary } = route.config as { summary: string };
      return { url, schema: { ...schema, summary, ...described(url, (schema as RouteSchema | undefined) ?? {}) } };
    },
  });
  // Declared, never run.
  declareRoutes(app, {} as RouteParts);
  await app.ready();
  const document = app.swagger();
  await app.close();
  return document;
}

function described(url: string, schema: RouteSchema): object {
  const response = { ...good(url, schema), ...problems(url, schema) };
  if (url !== SECRET) return { response };
  const name = { type: 'string', pattern: IDENTIFIER_PATTERN, description: 'the name of a secret' };
  return { response, params: { type: 'object', properties: { name }, required: ['name'] } };
}

function good(url: string, { response = {} }: RouteSchema): object {
  const answer = (content: object): object => ({ description: 'the answer', headers: HEADERS, content });
  switch (url) {
    case SECRET:
      return {
        200: answer({
          'application/json': { schema: secret },
          'text/plain': { schema: binary },
          'application/octet-stream': { schema: binary },
        }),
      };
    case '/metrics':
      return { 200: answer({ 'text/plain': { schema: { type: 'string' } } }) };
    case '/openapi.json':
      return { 200: answer({ 'application/json': { schema: { type: 'object' } } }) };
    default:
      return { 200: answer({ 'application/json': { schema: response['200'] } }) };
  }
}

/** The problems that this route can answer a GET with, by status. */
function problems(url: string, { response = {} }: RouteSchema): object {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of ERROR_CODES.filter((code) => canAnswer(url, code))) {
    const status = STATUS_OF[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => {
      const own = response[String(status)];
      return [
        status,
        {
          description: codes.join(', '),
          headers: { ...HEADERS, ...(status === 503 && own === undefined && RETRY_AFTER) },
          content: {
            ...(own !== undefined && { 'application/json': { schema: own } }),
            'application/problem+json': { schema: problem(status, codes) },
          },
        },
      ];
    }),
  );
}

const HEALTH_CODES: ReadonlySet<ErrorCode> = new Set(['shutting_down', 'internal_error']);

/** What comes before a route is asked for anything of its own. */
const COMMON_CODES: ReadonlySet<ErrorCode> = new Set([...HEALTH_CODES, 'invalid_request', 'overloaded']);

/** No GET of a route that exists. */
const NEVER: ReadonlySet<ErrorCode> = new Set(['not_found', 'method_not_allowed']);

function canAnswer(url: string, code: ErrorCode): boolean {
  if (url === SECRET) return !NEVER.has(code);
  return (['/healthz', '/readyz'].includes(url) ? HEALTH_CODES : COMMON_CODES).has(code);
}

function problem(status: number, codes: readonly ErrorCode[]): TSchema {
  return Type.Object({
    title: Type.String(),
    status: Type.Literal(status),
    detail: Type.String(),
    code: Type.Unsafe<ErrorCode>({ type: 'string', enum: codes }),
    retryable: Type.Boolean(),
    request_id: Type.String(),
  });
}
