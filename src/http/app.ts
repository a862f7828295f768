import { randomUUID } from 'node:crypto';
import { METHODS, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { fastify, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { SecretsApi } from '../api.js';
import type { RuntimeIdentity } from '../domain/identity.js';
import type { Audit } from '../log/audit.js';
import { refuseParserError } from './parser_error.js';
import { sendProblem } from './problem.js';
import { isWellBehaved } from './request_rules.js';
import { healthRoutes } from './routes/health.js';
import { identityRoute } from './routes/identity.js';
import { namesRoute } from './routes/names.js';
import { secretRoute } from './routes/secret.js';

/** A request that is not complete after this is closed. */
const REQUEST_TIMEOUT_MS = 30_000;

/** What the daemon answers with. A request keeps the one that it began with. */
export interface Serving {
  readonly identity: RuntimeIdentity;
  readonly api: SecretsApi;
  readonly config: { readonly digest: string; readonly loadedAt: Date };
}

export interface AppParts {
  readonly serving: () => Serving;
  readonly audit: Audit;
  readonly log: Logger;
}

declare module 'fastify' {
  interface FastifyRequest {
    serving: Serving;
    startedAt: number;
  }
  interface FastifyContextConfig {
    /** Answered whatever the load, and whatever the request carries. */
    health?: boolean;
    /** Refuses by itself, as its refusals are audited. */
    audited?: boolean;
    /** Stands for the methods other than GET of a route that exists. */
    otherMethods?: boolean;
  }
}

export type App = ReturnType<typeof createFastify>;

export interface BuiltApp {
  readonly app: App;
  /** From now on requests get `shutting_down`; resolves when those that came before are answered. */
  drain(): Promise<void>;
}

function createFastify() {
  return fastify({
    logger: false,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { headersTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: 1_000 },
    // The whole URL fits, so that the name's own rule is what refuses a long one.
    routerOptions: { maxParamLength: 65_536 },
    // A name counts as it stands in the URL: what the router would decode or cut off is escaped before it looks.
    rewriteUrl: (request) => (request.url ?? '').replaceAll('%', '%25').replaceAll('#', '%23'),
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false } },
    clientErrorHandler: refuseParserError,
    frameworkErrors: (_error, _request, reply) => {
      void sendProblem(reply, 'internal_error');
    },
  }).withTypeProvider<TypeBoxTypeProvider>();
}

/** The routes and their rules, without a socket. */
export function buildApp({ serving, audit, log }: AppParts): BuiltApp {
  const app = createFastify();
  const inFlight = new Set<FastifyRequest>();
  let draining: (() => void) | undefined;
  let stopping = false;

  for (const method of METHODS) {
    if (!app.supportedMethods.includes(method)) app.addHttpMethod(method);
  }
  app.decorateRequest('serving');
  app.decorateRequest('startedAt', 0);

  app.addHook('onRequest', async (request, reply) => {
    request.startedAt = performance.now();
    request.serving = serving();
    void reply.header('Cache-Control', 'no-store').header('X-Request-Id', request.id);
    inFlight.add(request);
    reply.raw.once('close', () => {
      inFlight.delete(request);
      if (inFlight.size === 0) draining?.();
    });

    const { config } = request.routeOptions;
    if (request.is404) return sendProblem(reply, 'not_found');
    if (config.otherMethods === true) return sendProblem(reply, 'method_not_allowed');
    if (config.audited === true) return undefined;
    if (stopping) return sendProblem(reply, 'shutting_down');
    if (config.health !== true && !(await isWellBehaved(request))) return sendProblem(reply, 'invalid_request');
    return undefined;
  });

  app.setNotFoundHandler((_request, reply) => sendProblem(reply, 'not_found'));
  app.setErrorHandler((error, request, reply) => {
    // The message may hold anything: only the kind of error is told.
    log.error({ event: 'defect', request_id: request.id, error: error instanceof Error ? error.name : typeof error });
    return sendProblem(reply, 'internal_error');
  });

  const paths: string[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    if (method === 'GET') paths.push(url);
  });
  const routes = [
    healthRoutes(log),
    identityRoute,
    namesRoute,
    secretRoute({ audit, log, isStopping: () => stopping }),
  ];
  for (const route of routes) route(app);
  for (const url of paths) {
    app.route({
      method: app.supportedMethods.filter((method) => method !== 'GET'),
      url,
      config: { otherMethods: true },
      handler: (_request, reply) => sendProblem(reply, 'method_not_allowed'),
    });
  }

  // Node gives CONNECT to nobody by default and drops the connection.
  app.server.on('connect', (request, socket) => {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as never);
    response.once('finish', () => socket.end());
    app.routing(request, response);
  });

  return {
    app,
    async drain() {
      stopping = true;
      if (inFlight.size === 0) return;
      await new Promise<void>((resolve) => {
        draining = resolve;
      });
    },
  };
}
