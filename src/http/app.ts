import { randomUUID } from 'node:crypto';
import { METHODS, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { fastify, type FastifyContextConfig, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { createAccesses } from '../access.js';
import type { SecretsApi } from '../api.js';
import { createCredentials } from '../credentials.js';
import type { EndSignal } from '../ending.js';
import type { ErrorCode } from '../domain/errors.js';
import type { RuntimeIdentity } from '../domain/identity.js';
import type { Audit } from '../log/audit.js';
import { kindOf } from '../log/logger.js';
import type { Metrics, RequestOutcome } from '../metrics.js';
import type { PeerRule } from '../os/peer.js';
import { watchConnections } from './connections.js';
import { createExchanges } from './exchanges.js';
import { createIdleTimeout } from './idle_connections.js';
import { createOpenConnections } from './open_connections.js';
import { refuseParserError } from './parser_error.js';
import { sendProblem } from './problem.js';
import { refusalOfForm } from './request_rules.js';
import { healthRoutes } from './routes/health.js';
import { identityRoute } from './routes/identity.js';
import { metricsRoute } from './routes/metrics.js';
import { namesRoute } from './routes/names.js';
import { openapiRoute } from './routes/openapi.js';
import { secretRoute, type SecretRouteParts } from './routes/secret.js';
import { createAnswerTimeout } from './untaken_answer.js';

/** A request that is not complete after this is closed. */
const REQUEST_TIMEOUT_MS = 30_000;

const ANSWER_TIMEOUT_MS = 30_000;

/** What callers are told of it, too. */
const IDLE_TIMEOUT_MS = 60_000;

/** What the daemon answers with. A request keeps the one that it began with. */
export interface Serving {
  readonly identity: RuntimeIdentity;
  readonly api: SecretsApi;
  /** Open connections above which those that came last are told `overloaded`; above twice it they are closed. */
  readonly connections: number;
}

export interface ConfigStatus {
  readonly digest: string;
  readonly loadedAt: Date;
  /** Why the last reload was refused; null when it was not. */
  readonly lastError: { readonly at: Date; readonly message: string } | null;
}

export interface AppParts {
  readonly serving: () => Serving;
  readonly configStatus: () => ConfigStatus;
  readonly audit: Audit;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Absent: whoever can connect may ask. */
  readonly allow?: PeerRule | undefined;
  /** An answer that is not taken within this ends its connection; default: 30 s. */
  readonly answerTimeoutMs?: number;
  /** A connection on which nothing is asked for so long after an answer is closed; default: 60 s. */
  readonly idleTimeoutMs?: number;
}

declare module 'fastify' {
  interface FastifyRequest {
    serving: Serving;
    startedAt: number;
    /** Aborted when the answer has been sent, or can no longer be as the caller has left. */
    over: EndSignal;
    outcome: RequestOutcome;
  }
  interface FastifyContextConfig {
    /** What it answers, for the OpenAPI document. */
    summary?: string;
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
  readonly drain: () => Promise<void>;
  /** Since when nothing is asked for and nobody has connected, by the clock of `performance`; null while a request is open. */
  readonly quietSince: () => number | null;
  /** Once nobody can connect any more: takes in those that have, and what they had sent. */
  readonly takeIn: () => Promise<void>;
  /**
   * Answers what has come on open connections and takes nothing more from them; resolves when all are closed. Where the
   * platform cannot end what comes, those that ask for nothing stay open.
   */
  readonly finish: () => Promise<void>;
  /** Closes every connection, whatever is going on there; resolves when each request there has handed in its record. */
  readonly disconnect: () => Promise<void>;
}

/**
 * Schemas describe the answers, for the OpenAPI document; nothing of a request is looked at but its name. So what would
 * compile them is not loaded, and a schema for a request, which nobody would hold it to, is a defect.
 */
const WITHOUT_COMPILERS = {
  buildSerializer: () => () => JSON.stringify,
  buildValidator: () => () => {
    throw new Error('a route has a schema for its requests');
  },
};

function createFastify(onParserError: (error: { readonly code: string }, socket: Socket) => void) {
  return fastify({
    logger: false,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    http: { headersTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: 1_000, requireHostHeader: false },
    // The name's own rule is what refuses a long one.
    routerOptions: { maxParamLength: Number.MAX_SAFE_INTEGER },
    rewriteUrl: ({ url = '' }) => routerTarget(url),
    schemaController: { compilersFactory: WITHOUT_COMPILERS },
    clientErrorHandler: onParserError,
  }).withTypeProvider<TypeBoxTypeProvider>();
}

/**
 * What the router looks at. A name counts as it stands in the URL, so what the router would decode or cut off is
 * escaped; a target that is no path (`*`, `host:port`) becomes one that no route has.
 */
function routerTarget(target: string): string {
  if (target.startsWith('/') && !target.includes('%') && !target.includes('#')) return target;
  const path = target.replace(/^https?:\/\/[^/?#]+(?=\/)/i, '');
  return (path.startsWith('/') ? path : `//${path}`).replaceAll('%', '%25').replaceAll('#', '%23');
}

export type RouteParts = Pick<AppParts, 'configStatus' | 'log' | 'metrics'> & SecretRouteParts;

/** Every route that is answered. */
export function declareRoutes(app: App, parts: RouteParts): void {
  const routes = [
    healthRoutes(parts.log, parts.configStatus),
    identityRoute,
    namesRoute,
    secretRoute(parts),
    metricsRoute(parts.metrics),
    openapiRoute,
  ];
  for (const route of routes) route(app);
}

/** The routes and their rules, without a socket. */
export function buildApp(parts: AppParts): BuiltApp {
  const { serving, configStatus, audit, metrics, log, allow } = parts;
  const { answerTimeoutMs = ANSWER_TIMEOUT_MS, idleTimeoutMs = IDLE_TIMEOUT_MS } = parts;
  const open = createOpenConnections();
  const exchanges = createExchanges(open, createIdleTimeout(idleTimeoutMs, open));
  const closeWhenUntaken = createAnswerTimeout(answerTimeoutMs, open);
  const app = createFastify((error, socket) => {
    const { finishing } = connections;
    refuseParserError(error, socket, { exchanges, finishing, timeoutMs: answerTimeoutMs });
  });
  const accesses = createAccesses({ audit, metrics, log });
  const onCredentialRequest = createCredentials({
    accesses,
    serving,
    begin: (socket) => exchanges.beginOn(socket),
    refusalOf: refusalOfLoad,
    log,
  });
  const rules = { limit: () => serving().connections, allow, onCredentialRequest };
  const connections = watchConnections(app.server, rules, open);
  let stopping = false;

  function refusalOfLoad(socket: Socket): ErrorCode | null {
    if (connections.isSurplus(socket)) return 'overloaded';
    return stopping ? 'shutting_down' : null;
  }

  function refusalOf({ raw: { socket } }: FastifyRequest): ErrorCode | null {
    return connections.isDenied(socket) ? 'peer_denied' : refusalOfLoad(socket);
  }

  /** As the parser refuses: without a problem, and the connection is closed. */
  function refuseBare(response: ServerResponse, over: EndSignal, status: number): void {
    closeWhenUntaken(response, over);
    response.writeHead(status, { 'Cache-Control': 'no-store', 'Content-Length': 0, Connection: 'close' }).end();
  }

  /** Of those before the ones that are the route's own; null where none applies. */
  function firstRefusal(
    request: FastifyRequest,
    config: FastifyContextConfig,
  ): ErrorCode | null | Promise<ErrorCode | null> {
    if (request.is404) return 'not_found';
    if (config.otherMethods === true) return 'method_not_allowed';
    if (config.audited === true) return null;
    if (config.health === true) return stopping ? 'shutting_down' : null;
    return refusalOf(request) ?? refusalOfForm(request);
  }

  for (const method of METHODS) {
    if (!app.supportedMethods.includes(method)) app.addHttpMethod(method);
  }
  app.decorateRequest('serving');
  app.decorateRequest('startedAt', 0);
  app.decorateRequest('over');
  app.decorateRequest('outcome', 'ok');

  app.addHook('onRequest', (request, reply, next) => {
    request.startedAt = performance.now();
    const over = exchanges.begin(request.raw, reply.raw);
    request.over = over;
    if (over.aborted) {
      reply.hijack();
      next();
      return;
    }
    // RFC 9112 §3.2. Node's own refusal leaves out Cache-Control.
    if (request.raw.httpVersion === '1.1' && request.raw.headers.host === undefined) {
      reply.hijack();
      refuseBare(reply.raw, over, 400);
      next();
      return;
    }
    const { url = 'none', config } = request.routeOptions;
    let sent = false;
    reply.raw.on('finish', () => {
      sent = true;
    });
    over.addEventListener('abort', () => {
      metrics.countRequest(url, sent ? request.outcome : 'cancelled');
    });
    request.serving = serving();
    // With a request to upgrade Node drops what the same packet brings behind it: its sender learns that nothing follows.
    if (request.raw.headers.upgrade !== undefined) reply.raw.shouldKeepAlive = false;

    const goOn = (refusal: ErrorCode | null): void => {
      if (refusal === null) next();
      else void sendProblem(reply, refusal);
    };
    const refusal = firstRefusal(request, config);
    if (refusal instanceof Promise) void refusal.then(goOn);
    else goOn(refusal);
  });

  app.addHook('onSend', (request, reply, _payload, next) => {
    void reply.header('Cache-Control', 'no-store').header('X-Request-Id', request.id);
    closeWhenUntaken(reply.raw, request.over);
    next();
  });

  app.setNotFoundHandler((_request, reply) => sendProblem(reply, 'not_found'));
  app.setErrorHandler((error, request, reply) => {
    log.error({ event: 'defect', request_id: request.id, error: kindOf(error) });
    return sendProblem(reply, 'internal_error');
  });

  const paths: string[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    if (method === 'GET') paths.push(url);
  });
  declareRoutes(app, { accesses, metrics, log, configStatus, connections, refusalOf, closeWhenUntaken });
  for (const url of paths) {
    app.route({
      method: app.supportedMethods.filter((method) => method !== 'GET'),
      url,
      config: { otherMethods: true },
      handler: (_request, reply) => sendProblem(reply, 'method_not_allowed'),
    });
  }

  // Headers beyond the number that Node keeps by default would escape the rules; their block is bounded anyway.
  app.server.maxHeadersCount = 0;
  // No request with a body is granted, so none is asked to go on. By default Node writes its 100 at once, into the midst
  // of a pipelined answer. Whether the body still comes is the caller's choice, which the close makes clear.
  app.server.on('checkContinue', (request, response) => {
    response.shouldKeepAlive = false;
    app.routing(request, response);
  });
  // By default Node keeps the connection open, leaves out Cache-Control, and gives CONNECT to nobody.
  app.server.on('checkExpectation', (request, response) => {
    refuseBare(response, exchanges.begin(request, response), 417);
  });
  app.server.on('connect', (request) => {
    const { socket } = request;
    socket.on('error', () => undefined); // Node has taken its own listener away
    exchanges.afterAnswers(socket, () => {
      if (!socket.writable) return;
      const response = new ServerResponse(request);
      response.shouldKeepAlive = false;
      response.assignSocket(socket);
      response.once('finish', () => socket.destroySoon());
      app.routing(request, response);
    });
  });

  return {
    app,
    drain() {
      stopping = true;
      return exchanges.idle();
    },
    quietSince() {
      const since = exchanges.quietSince();
      return since === null ? null : Math.max(since, connections.lastCameAt);
    },
    takeIn: () => connections.takeIn(),
    async finish() {
      await connections.finish();
      await exchanges.idle();
    },
    async disconnect() {
      connections.destroy();
      await exchanges.idle();
      await nextTurn(); // a request that is over gets its record without waiting for anything
    },
  };
}
