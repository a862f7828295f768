import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Certificate } from './certificate.js';
import { onPath, type RealComponent, realComponent } from './real_component.js';
import { type Ending, temporaryFolder, writeFile } from './temporary.js';
import { until } from './until.js';

/** The server of test/kv_server, built by .ci/run. */
export function realKvServer(): RealComponent {
  const hint = ': build it with `CGO_ENABLED=0 go build` in test/kv_server and name it with MXM_TEST_KV_SERVER';
  return realComponent('the KV server', process.env['MXM_TEST_KV_SERVER'], hint);
}

/** The servers to test against: our own, and those that happen to be installed. */
export const KV_SERVERS: readonly RealComponent[] = [
  realKvServer(),
  ...['bao', 'vault'].flatMap((name) => {
    const file = onPath(name);
    return file === undefined ? [] : [{ file, skip: false } as const];
  }),
];

export interface KvServerOptions {
  readonly server?: RealComponent;
  /** Listens at a Unix socket in place of a port. */
  readonly unix?: boolean;
  readonly certificate?: Certificate;
  /** Starts a second node, which stands by; our own server only. */
  readonly standby?: boolean;
}

export interface Reply {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

/** A running server with a KV engine of version 2 at `secret`, unsealed. */
export interface KvServer {
  /** As a store names it. */
  readonly address: string;
  readonly standby: string;
  readonly rootToken: string;
  readonly child: ChildProcess;
  /** A request below `/v1/` with the root token, which must succeed. */
  call(method: string, path: string, body?: object): Promise<Record<string, unknown>>;
  /** The same with a token of the caller's, whatever comes of it. */
  ask(method: string, path: string, body?: object, token?: string): Promise<Reply>;
  /** Writes a new version of a secret. */
  write(path: string, data: Record<string, unknown>): Promise<void>;
  /** A policy of this name that lets the paths of KV secrets be read. */
  allow(policy: string, ...paths: readonly string[]): Promise<void>;
  createToken(options: object): Promise<string>;
  /** An AppRole with these settings. */
  createRole(name: string, settings: object): Promise<{ readonly roleId: string; readonly secretId: string }>;
  seal(): Promise<void>;
  unseal(): Promise<void>;
}

interface Started {
  readonly child: ChildProcess;
  readonly address: string;
  readonly standby?: string;
  readonly root_token: string;
  readonly unseal_key: string;
}

export async function startKvServer(t: Ending, options: KvServerOptions = {}): Promise<KvServer> {
  const { server = realKvServer() } = options;
  const isOurs = server.file === realKvServer().file;
  const started = await (isOurs ? startOurs(t, server.file, options) : startInstalled(t, server.file, options));
  const { child, address, standby = '', root_token: rootToken, unseal_key: key } = started;

  const ask: KvServer['ask'] = (method, path, body, token = rootToken) => exchange(address, method, path, token, body);
  const call: KvServer['call'] = async (method, path, body) => {
    const { status, json } = await ask(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  };
  const dataOf = async (method: string, path: string): Promise<Record<string, unknown>> =>
    (await call(method, path))['data'] as Record<string, unknown>;

  // Of two nodes the first one becomes the active one in a moment.
  await until(async () => (await ask('GET', 'sys/health')).status === 200);
  await call('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  return {
    address,
    standby,
    rootToken,
    child,
    ask,
    call,
    async write(path, data) {
      // A new engine prepares itself for a moment.
      await until(async () => (await ask('POST', `secret/data/${path}`, { data })).status === 200);
    },
    async allow(policy, ...paths) {
      const rules = paths.map((path) => `path "secret/data/${path}" { capabilities = ["read"] }`);
      await call('PUT', `sys/policies/acl/${policy}`, { policy: rules.join('\n') });
    },
    async createToken(options) {
      const { auth } = await call('POST', 'auth/token/create', options);
      return String((auth as Record<string, unknown>)['client_token']);
    },
    async createRole(name, settings) {
      const mounts = await dataOf('GET', 'sys/auth');
      if (!('approle/' in mounts)) await call('POST', 'sys/auth/approle', { type: 'approle' });
      await call('POST', `auth/approle/role/${name}`, settings);
      const { role_id: roleId } = await dataOf('GET', `auth/approle/role/${name}/role-id`);
      const { secret_id: secretId } = await dataOf('POST', `auth/approle/role/${name}/secret-id`);
      return { roleId: String(roleId), secretId: String(secretId) };
    },
    async seal() {
      await call('PUT', 'sys/seal');
    },
    async unseal() {
      await call('PUT', 'sys/unseal', { key });
      await until(async () => (await ask('GET', 'sys/mounts')).status === 200);
    },
  };
}

/** Says on its standard output where it listens and how it is opened. */
async function startOurs(t: Ending, file: string, options: KvServerOptions): Promise<Started> {
  const { unix, certificate, standby } = options;
  const args = [
    ...(unix === true ? ['-unix', join(temporaryFolder(t), 'kv.sock')] : []),
    ...(certificate === undefined ? [] : ['-cert', certificate.certFile, '-key', certificate.keyFile]),
    ...(standby === true ? ['-standby'] : []),
  ];
  // It ends with its standard input, even when this process is killed.
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  endWith(t, child);
  for await (const line of createInterface(child.stdout))
    return { child, ...(JSON.parse(line) as Omit<Started, 'child'>) };
  throw new Error('the KV server has ended');
}

/** OpenBao or Vault as their users have them, with a configuration of its own. */
async function startInstalled(t: Ending, file: string, options: KvServerOptions): Promise<Started> {
  const { unix, certificate } = options;
  const folder = temporaryFolder(t);
  const port = await freePort();
  const socket = join(folder, 'kv.sock');
  const tls =
    certificate === undefined
      ? { tls_disable: true }
      : { tls_cert_file: certificate.certFile, tls_key_file: certificate.keyFile };
  const listener = unix === true ? { unix: { address: socket } } : { tcp: { address: `127.0.0.1:${port}`, ...tls } };
  const origin = `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  const config = { storage: { inmem: {} }, disable_mlock: true, api_addr: origin, listener };
  const child = spawn(file, ['server', `-config=${writeFile(folder, 'config.json', JSON.stringify(config))}`], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  endWith(t, child);
  const address = unix === true ? `unix:${socket}` : origin;
  const made = await until(async () => {
    const body = { secret_shares: 1, secret_threshold: 1 };
    const reply = await exchange(address, 'PUT', 'sys/init', '', body).catch(() => undefined);
    return reply?.status === 200 && reply.json;
  });
  const [key] = made['keys'] as [string];
  await exchange(address, 'PUT', 'sys/unseal', '', { key });
  await until(async () => (await exchange(address, 'GET', 'sys/health', '')).status === 200);
  return { child, address, root_token: String(made['root_token']), unseal_key: key };
}

function endWith(t: Ending, child: ChildProcess): void {
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.stdin?.end();
    child.kill('SIGTERM');
    await ended;
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function exchange(address: string, method: string, path: string, token: string, body?: object): Promise<Reply> {
  const headers = { 'X-Vault-Token': token };
  const isSocket = address.startsWith('unix:');
  const url = `${isSocket ? 'http://localhost' : address}/v1/${path}`;
  const target = isSocket ? { socketPath: address.slice('unix:'.length) } : { rejectUnauthorized: false };
  const request = address.startsWith('https:') ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false, ...target });
    asked.once('error', reject);
    asked.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, json: JSON.parse(text || '{}') as Record<string, unknown> });
      });
    });
    asked.end(body && JSON.stringify(body));
  });
}
