import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../../src/cli/run.js';
import { describeReason } from '../../src/domain/errors.js';
import { memoryIo } from '../support/io.js';
import { type Ending, temporaryFolder, writeFile } from '../support/temporary.js';

interface Files {
  readonly identity?: string;
  readonly secrets?: string;
}

/** Writes a configuration and gives the launch file. */
function configuration(t: Ending, { identity = 'app: feed', secrets = ENV_ONLY }: Files = {}): string {
  const folder = temporaryFolder(t);
  writeFile(folder, 'secrets.yaml', secrets);
  return writeFile(
    folder,
    'launch.yaml',
    `identity: { machine: bridge, environment: dev, role: marketdata, ${identity} }
secrets: secrets.yaml
socket: { path: s.sock }
`,
  );
}

const ENV_ONLY = `
stores:
  local: { backend: env, root: mxm/dev }
refs:
  db_password: { store: local, path: db-password, policy: operations }
  api_key: { store: local, path: api-key, policy: marketdata_access }
policies:
  marketdata_access: { allowed_principals: [marketdata, research] }
  operations: { allowed_principals: [operator] }
`;

const IDENTITY = { machine: 'bridge', environment: 'dev', role: 'marketdata', app: 'feed' };

const SECRETS = [
  { name: 'api_key', store: 'local', backend: 'env', policy: 'marketdata_access', decision: 'allowed' },
  { name: 'db_password', store: 'local', backend: 'env', policy: 'operations', decision: 'denied' },
];

function withGopass(binary: string): string {
  return `
stores:
  red: { backend: gopass, root: mxm/red, binary: ${binary} }
  local: { backend: env, root: mxm/dev }
refs: { api_key: { store: red, path: api_key, policy: open } }
policies: { open: { allowed_principals: [marketdata] } }
`;
}

t.test('check --json tells identity, principal, every ref and every store', async (t) => {
  const io = memoryIo();
  t.equal(await run(['check', '--launch', configuration(t), '--json'], io), 0);
  t.same(JSON.parse(io.text()), {
    identity: IDENTITY,
    principal: 'marketdata',
    secrets: SECRETS,
    stores: { local: { backend: 'env', status: 'ready' } },
  });
  t.equal(io.errors(), '');
});

t.test('check --json --offline has no stores', async (t) => {
  const io = memoryIo();
  t.equal(await run(['check', '--launch', configuration(t), '--json', '--offline'], io), 0);
  t.same(JSON.parse(io.text()), { identity: IDENTITY, principal: 'marketdata', secrets: SECRETS });
});

t.test('keys of the identity that are not set are absent', async (t) => {
  const io = memoryIo();
  await run(['check', '--launch', configuration(t, { identity: '' }), '--json', '--offline'], io);
  t.same((JSON.parse(io.text()) as { identity: object }).identity, {
    machine: 'bridge',
    environment: 'dev',
    role: 'marketdata',
  });
});

t.test('check prints rows of tab-separated cells when piped', async (t) => {
  const io = memoryIo();
  t.equal(await run(['check', '--launch', configuration(t)], io), 0);
  t.equal(
    io.text(),
    [
      'identity\tmachine\tbridge',
      'identity\tenvironment\tdev',
      'identity\trole\tmarketdata',
      'identity\tapp\tfeed',
      'principal\tmarketdata',
      'secret\tapi_key\tlocal\tenv\tmarketdata_access\tallowed',
      'secret\tdb_password\tlocal\tenv\toperations\tdenied',
      'store\tlocal\tenv\tready',
      '',
    ].join('\n'),
  );
});

t.test('check prints tables with headers on a terminal', async (t) => {
  const io = memoryIo({ isTTY: true });
  t.equal(await run(['check', '--launch', configuration(t)], io), 0);
  t.equal(
    io.text(),
    `identity   machine      bridge
identity   environment  dev
identity   role         marketdata
identity   app          feed
principal  marketdata

        SECRET       STORE  BACKEND  POLICY             DECISION
secret  api_key      local  env      marketdata_access  allowed
secret  db_password  local  env      operations         denied

       STORE  BACKEND  STATUS  CODE  REASON
store  local  env      ready
`,
  );
});

t.test('a table without rows has no header', async (t) => {
  const io = memoryIo({ isTTY: true });
  const secrets = 'stores: {}\nrefs: {}\npolicies: {}\n';
  t.equal(await run(['check', '--launch', configuration(t, { secrets })], io), 0);
  t.notMatch(io.text(), /SECRET|STORE/);
});

t.test('a backend that is not ready ends with 69 and is told with its code and reason', async (t) => {
  const launch = configuration(t, { secrets: withGopass('/nonexistent/gopass') });
  const io = memoryIo();
  t.equal(await run(['check', '--launch', launch], io), 69);
  t.match(
    io.text(),
    `store\tred\tgopass\tunready\tbackend_unavailable\tbinary_missing\t${describeReason('binary_missing')}\n`,
  );
  t.match(io.text(), 'store\tlocal\tenv\tready\n');
  t.equal(io.errors(), '');

  const json = memoryIo();
  t.equal(await run(['check', '--launch', launch, '--json'], json), 69);
  t.same((JSON.parse(json.text()) as { stores: object }).stores, {
    local: { backend: 'env', status: 'ready' },
    red: { backend: 'gopass', status: 'unready', code: 'backend_unavailable' },
  });
});

t.test('--offline probes nothing', async (t) => {
  const folder = temporaryFolder(t);
  const marker = join(folder, 'started');
  const binary = writeFile(folder, 'gopass', `#!/bin/sh\ntouch ${marker}\nexit 1\n`, 0o700);
  const launch = configuration(t, { secrets: withGopass(binary) });
  t.equal(await run(['check', '--launch', launch, '--offline'], memoryIo()), 0);
  t.notOk(existsSync(marker), 'nothing was started');
  t.equal(await run(['check', '--launch', launch], memoryIo()), 69);
  t.ok(existsSync(marker), 'and without --offline it was');
});

t.test('a configuration in error ends with 78: every error on stderr, nothing on stdout', async (t) => {
  const launch = configuration(t, { identity: 'shoe_size: 43', secrets: 'stores: {}\nrefs: []\n' });
  for (const command of ['check', 'serve']) {
    const io = memoryIo();
    t.equal(await run([command, '--launch', launch], io), 78, command);
    t.equal(io.text(), '');
    const lines = io.errors().trimEnd().split('\n');
    t.equal(lines.length, 3);
    t.match(lines[0], `${launch}:1:`);
    t.match(lines[0], /identity\.shoe_size: is an unknown key/);
    t.match(lines.slice(1).join('\n'), /refs: must be a mapping/);
    t.match(lines.slice(1).join('\n'), /policies: is missing/);
  }
});

t.test('a file that cannot be read ends with 78', async (t) => {
  for (const command of ['check', 'serve']) {
    const io = memoryIo();
    t.equal(await run([command, '--launch', '/nonexistent/launch.yaml'], io), 78);
    t.equal(io.text(), '');
    t.match(io.errors(), /^\/nonexistent\/launch\.yaml: .+\n$/);
  }
});
