import t from 'tap';
import { openapiDocument } from '../../schema/openapi.js';
import { ERROR_CODES } from '../../src/domain/errors.js';
import { STATUS_OF } from '../../src/http/status.js';
import { testApp } from '../support/app.js';

interface Content {
  readonly schema: { readonly properties?: { readonly code?: { readonly enum: string[] } } };
}

interface Answer {
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content: Readonly<Record<string, Content>>;
}

interface OpenApi {
  readonly paths: Readonly<
    Record<string, { readonly get: { readonly summary: string; readonly responses: Record<string, Answer> } }>
  >;
}

const document = (await openapiDocument()) as OpenApi;

/** The codes of a route's problems, with their status. */
function codesOf(path: string): [string, number][] {
  return Object.entries(document.paths[path]!.get.responses).flatMap(([status, { content }]) => {
    const codes = content['application/problem+json']?.schema.properties?.code?.enum ?? [];
    return codes.map((code): [string, number] => [code, Number(status)]);
  });
}

t.test('every route is in the document, with a summary, and nothing else', async (t) => {
  const { app } = testApp(t);
  await app.ready();
  const routes = Object.keys(document.paths);
  for (const route of routes) t.ok(app.hasRoute({ method: 'GET', url: route.replace('{name}', ':name') }), route);
  const lines = app.printRoutes({ commonPrefix: false }).split('\n');
  t.equal(lines.filter((line) => line.includes('(GET')).length, routes.length);
  for (const { get } of Object.values(document.paths)) t.ok(get.summary);
});

t.test('a secret is described with every code but those of no route and of another method', (t) => {
  const expected = ERROR_CODES.filter((code) => code !== 'not_found' && code !== 'method_not_allowed');
  const documented = codesOf('/secrets/{name}');
  t.same(documented.map(([code]) => code).sort(), [...expected].sort());
  for (const [code, status] of documented) t.equal(status, STATUS_OF[code as keyof typeof STATUS_OF], code);
  t.end();
});

t.test('the health routes have no refusal but that of a daemon that stops', (t) => {
  for (const path of ['/healthz', '/readyz']) {
    t.same(
      codesOf(path).map(([code]) => code),
      ['internal_error', 'shutting_down'],
      path,
    );
  }
  t.end();
});

t.test('every answer is described with the headers that all have', (t) => {
  for (const { get } of Object.values(document.paths)) {
    for (const { headers } of Object.values(get.responses))
      t.hasProps(headers ?? {}, ['Cache-Control', 'X-Request-Id']);
  }
  t.end();
});
