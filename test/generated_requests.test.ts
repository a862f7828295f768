import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { startDaemonProcess } from './support/process.js';
import { onPath, realComponent } from './support/real_component.js';
import { temporaryFolder } from './support/temporary.js';

/** Generates requests from an OpenAPI document, good and bad, and holds each answer to it. */
const schemathesis = realComponent(
  'schemathesis',
  process.env['MXM_TEST_SCHEMATHESIS'] ?? onPath('schemathesis'),
  ': name it with MXM_TEST_SCHEMATHESIS',
);

const SECRETS = `
stores: { red: { backend: env, root: mxm/generated } }
refs:
  a: { store: red, path: a, policy: open }
  b: { store: red, path: b, policy: closed }
policies:
  open: { allowed_principals: [marketdata] }
  closed: { allowed_principals: [] }
`;

t.test(
  'every answer to a generated request is one that the OpenAPI document describes',
  { skip: schemathesis.skip },
  async (t) => {
    const { socket, ...daemon } = await startDaemonProcess(t, { secrets: SECRETS, env: { MXM_GENERATED_A: 'value' } });
    // It can ask over TCP only.
    const open = new Set<Socket>();
    const bridge = createServer((caller) => {
      const called = connect(socket);
      for (const [from, to] of [
        [caller, called],
        [called, caller],
      ] as const) {
        open.add(from);
        from.on('error', () => to.destroy());
        from.pipe(to);
      }
    });
    bridge.listen(0, '127.0.0.1');
    await once(bridge, 'listening');
    t.teardown(() => {
      bridge.close();
      open.forEach((socket) => socket.destroy());
    });
    const { port } = bridge.address() as AddressInfo;

    const options = ['--max-examples', '100', '--seed', '1', '--no-color'];
    const run = spawn(schemathesis.file, ['run', `http://127.0.0.1:${port}/openapi.json`, ...options], {
      cwd: temporaryFolder(t), // it leaves its cache there
    });
    let printed = '';
    run.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString('utf8')));
    run.stderr.on('data', (chunk: Buffer) => (printed += chunk.toString('utf8')));
    const [status] = (await once(run, 'close')) as [number | null];
    if (status !== 0) t.comment(printed);
    t.equal(status, 0);
    const [, passed] = /(\d+) generated, \d+ passed/.exec(printed) ?? [];
    t.ok(Number(passed) > 50, `${String(passed)} requests`);
    t.comment(`${String(passed)} requests generated`);
    t.same(
      daemon.log().filter(({ event }) => event === 'defect'),
      [],
    );
  },
);
