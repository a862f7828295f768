import { existsSync, openSync, closeSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Io } from '../../src/cli/io.js';
import { run } from '../../src/cli/run.js';
import { ask } from '../support/http_client.js';
import { memoryIo } from '../support/io.js';
import { type Ending, temporaryFolder, writeFile } from '../support/temporary.js';
import { until } from '../support/until.js';

function configuration(t: Ending): { folder: string; launch: string; socket: string } {
  const folder = temporaryFolder(t);
  writeFile(
    folder,
    'secrets.yaml',
    `stores: { local: { backend: env, root: mxm/dev } }
refs: { api_key: { store: local, path: api-key, policy: open } }
policies: { open: { allowed_principals: [marketdata] } }
`,
  );
  const launch = writeFile(
    folder,
    'launch.yaml',
    `identity: { machine: bridge, environment: dev, role: marketdata }
secrets: secrets.yaml
socket: { path: s.sock }
`,
  );
  return { folder, launch, socket: join(folder, 's.sock') };
}

t.test('serve answers until SIGTERM or SIGINT, then ends with 0 and leaves no socket', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const { folder, launch, socket } = configuration(t);
    const fd = openSync(join(folder, 'log'), 'a');
    const io = memoryIo({ environment: { MXM_DEV_API_KEY: 'value' }, fd });
    const status = run(['serve', '--launch', launch], io);
    await until(() => existsSync(socket));
    t.same((await ask(socket, '/secrets/api_key')).json, { name: 'api_key', value: 'value' });
    io.raise(signal);
    t.equal(await status, 0, signal);
    t.notOk(existsSync(socket));
    t.equal(io.text() + io.errors(), '', 'all that it says is in the log');
    closeSync(fd);
    const events = readFileSync(join(folder, 'log'), 'utf8').match(/"event":"\w+"/g);
    t.same(
      events,
      ['listening', 'secret_access', 'stopping', 'stopped'].map((event) => `"event":"${event}"`),
    );
  }
});

t.test('when the start has settled it lets go of what that has needed, once', async (t) => {
  const { folder, launch, socket } = configuration(t);
  const fd = openSync(join(folder, 'log'), 'a');
  const io = memoryIo({ fd });
  let settled = 0;
  const settling: Io = {
    ...io,
    settle() {
      t.ok(existsSync(socket), 'not before it listens');
      settled += 1;
    },
  };
  const status = run(['serve', '--launch', launch], settling);
  await until(() => settled > 0);
  io.raise('SIGTERM');
  t.equal(await status, 0);
  t.equal(settled, 1);
  closeSync(fd);
});

t.test('a signal that comes during the start ends the daemon as well', async (t) => {
  const { folder, launch, socket } = configuration(t);
  const fd = openSync(join(folder, 'log'), 'a');
  const io = memoryIo({ fd });
  // Raised as soon as it is listened for, which is before the socket is made.
  const early: Io = {
    ...io,
    onSignal: (signal, handle) => {
      io.onSignal(signal, handle);
      io.raise(signal);
      t.notOk(existsSync(socket));
    },
  };
  t.equal(await run(['serve', '--launch', launch], early), 0);
  t.notOk(existsSync(socket));
  closeSync(fd);
});

t.test('a socket that cannot be made ends with 73 and is told on stderr', async (t) => {
  const { folder, launch, socket } = configuration(t);
  writeFile(folder, 's.sock', 'a file of somebody else');
  const io = memoryIo();
  t.equal(await run(['serve', '--launch', launch], io), 73);
  t.equal(io.text(), '');
  t.equal(
    io.errors(),
    `mxm-secretsd: ${socket}: there is a file that is no socket; remove it or choose another path\n`,
  );
  t.equal(readFileSync(socket, 'utf8'), 'a file of somebody else');
});
