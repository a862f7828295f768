import { appendFileSync, existsSync } from 'node:fs';
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

t.test('the folder of an audit file is missed where the daemon is to run, but not with --offline', async (t) => {
  const launch = configuration(t);
  appendFileSync(launch, 'log: { audit_file: missing/audit.jsonl }\n');
  const io = memoryIo();
  t.equal(await run(['check', '--launch', launch], io), 78);
  t.match(io.errors(), `${launch}:4:20: log.audit_file: stands in a folder that is not there (`);
  t.equal(await run(['check', '--launch', launch, '--offline'], memoryIo()), 0);
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

const EVERY_PRINCIPAL = { marketdata: 'allowed', operator: 'denied', research: 'allowed' };

t.test('--matrix --json gives the decision for each principal that a policy names, in place of one', async (t) => {
  const io = memoryIo();
  t.equal(await run(['check', '--launch', configuration(t), '--matrix', '--json', '--offline'], io), 0);
  t.same((JSON.parse(io.text()) as { secrets: object }).secrets, [
    { name: 'api_key', store: 'local', backend: 'env', policy: 'marketdata_access', principals: EVERY_PRINCIPAL },
    {
      name: 'db_password',
      store: 'local',
      backend: 'env',
      policy: 'operations',
      principals: { marketdata: 'denied', operator: 'allowed', research: 'denied' },
    },
  ]);
});

t.test('--matrix has a column for each principal on a terminal', async (t) => {
  const io = memoryIo({ isTTY: true });
  t.equal(await run(['check', '--launch', configuration(t), '--matrix', '--offline'], io), 0);
  t.match(
    io.text(),
    `
        SECRET       STORE  BACKEND  POLICY             marketdata  operator  research
secret  api_key      local  env      marketdata_access  allowed     denied    allowed
secret  db_password  local  env      operations         denied      allowed   denied
`,
  );
});

t.test('--matrix has a row for each principal when piped', async (t) => {
  const io = memoryIo();
  t.equal(await run(['check', '--launch', configuration(t), '--matrix', '--offline'], io), 0);
  t.same(
    io
      .text()
      .split('\n')
      .filter((line) => line.startsWith('secret\tapi_key')),
    Object.entries(EVERY_PRINCIPAL).map(
      ([principal, decision]) => `secret\tapi_key\tlocal\tenv\tmarketdata_access\t${principal}\t${decision}`,
    ),
  );
});

t.test('--matrix of nothing is nothing', async (t) => {
  const secrets = 'stores: {}\nrefs: {}\npolicies: {}\n';
  for (const isTTY of [true, false]) {
    const io = memoryIo({ isTTY });
    t.equal(await run(['check', '--launch', configuration(t, { secrets }), '--matrix', '--offline'], io), 0);
    t.notMatch(io.text(), /secret/i);
  }
});

/** Runs check with what is expected; the place of the file is left out of what it prints. */
async function expecting(
  t: Ending,
  expected: string,
  {
    args = ['--offline'],
    secrets = ENV_ONLY,
    isTTY = false,
  }: { args?: string[]; secrets?: string; isTTY?: boolean } = {},
): Promise<{ status: number; text: string }> {
  const file = writeFile(temporaryFolder(t), 'expect.yaml', expected);
  const io = memoryIo({ isTTY });
  const status = await run(['check', '--launch', configuration(t, { secrets }), '--expect', file, ...args], io);
  return { status, text: io.text().replaceAll(file, 'expect.yaml') };
}

const HOLDS = 'marketdata: { allow: [api_key], deny: [db_password] }\nnobody: { deny: [api_key] }\n';
const DIFFERS = 'marketdata:\n  allow: [db_password]\n  deny: [api_key, api_kee]\n';

t.test('--expect with expectations that hold ends with 0 and says how many', async (t) => {
  const { status, text } = await expecting(t, HOLDS);
  t.equal(status, 0);
  t.match(text, /\nexpected\t3 of 3 hold\n$/);
});

t.test('an expectation that does not hold ends with 1: what was expected, what is, and where it stands', async (t) => {
  const { status, text } = await expecting(t, DIFFERS, { isTTY: true });
  t.equal(status, 1);
  t.match(
    text,
    `
expected  0 of 3 hold

         PRINCIPAL   SECRET       EXPECTED  DECISION  PLACE
differs  marketdata  db_password  allowed   denied    expect.yaml:2
differs  marketdata  api_key      denied    allowed   expect.yaml:3
differs  marketdata  api_kee      denied    unknown   expect.yaml:3; did you mean "api_key"?
`,
  );
});

t.test('--expect --json adds the differences, and only then', async (t) => {
  const { status, text } = await expecting(t, DIFFERS, { args: ['--json'] });
  t.equal(status, 1);
  const { differences, ...rest } = JSON.parse(text) as { differences: object[] };
  t.same(differences[0], {
    principal: 'marketdata',
    secret: 'db_password',
    expected: 'allowed',
    decision: 'denied',
    place: 'expect.yaml:2',
  });
  t.equal(differences.length, 3);
  t.same(Object.keys(rest), ['identity', 'principal', 'secrets', 'stores']);
  t.same(
    (JSON.parse((await expecting(t, HOLDS, { args: ['--json'] })).text) as { differences: object[] }).differences,
    [],
  );
});

t.test('an expectation that does not hold counts before a backend that is not ready', async (t) => {
  const secrets = withGopass('/nonexistent/gopass');
  t.equal((await expecting(t, 'marketdata: { deny: [api_key] }', { secrets, args: [] })).status, 1);
  t.equal((await expecting(t, 'marketdata: { allow: [api_key] }', { secrets, args: [] })).status, 69);
  t.equal((await expecting(t, 'marketdata: { allow: [api_key] }', { secrets })).status, 0, 'nor with --offline');
});

t.test('a file of expectations in error ends with 78, before any backend is probed', async (t) => {
  const io = memoryIo();
  const file = writeFile(temporaryFolder(t), 'expect.yaml', 'marketdata: { alow: [api_key] }\n');
  t.equal(await run(['check', '--launch', configuration(t), '--expect', file], io), 78);
  t.equal(io.text(), '');
  t.match(io.errors(), `${file}:1:15: marketdata.alow: is an unknown key; did you mean "allow"?`);
});
