import { readFileSync } from 'node:fs';
import t from 'tap';
import { checkLaunch, type CheckedLaunch, type LaunchSurroundings } from '../../src/config/launch_config.js';
import { IDENTIFIER_RULE } from '../../src/config/schema.js';
import { MAX_ID } from '../../src/os/accounts.js';
import { DEFAULT_LIMITS } from '../../src/limits.js';
import { collector } from '../support/config_files.js';

const GOOD = {
  identity: { machine: 'bridge', environment: 'dev', role: 'marketdata' },
  secrets: 'secrets.yaml',
  socket: { path: '../run/secrets.sock' },
};

const FOLDER = '/etc/mxm';

function checked(data: unknown, folder = FOLDER): CheckedLaunch & { told: string[] } {
  const { told, report } = collector();
  return { ...checkLaunch(data, folder, report), told };
}

function problemsOf(data: unknown): string[] {
  const { told, config } = checked(data);
  t.equal(config === undefined, told.length > 0, 'there is a configuration exactly when there is no problem');
  return told;
}

function withIdentity(identity: object): object {
  return { ...GOOD, identity: { ...GOOD.identity, ...identity } };
}

function withSocket(socket: object): object {
  return { ...GOOD, socket: { ...GOOD.socket, ...socket } };
}

t.test('the least there can be has the defaults', (t) => {
  t.same(checked(GOOD).config, {
    identity: { machine: 'bridge', environment: 'dev', role: 'marketdata' },
    socket: { path: '/etc/run/secrets.sock', mode: 0o600 },
    limits: DEFAULT_LIMITS,
    connections: 512,
    logLevel: 'info',
  });
  t.end();
});

t.test('every key is taken', (t) => {
  const { config, secrets } = checked({
    identity: { ...GOOD.identity, app: 'mxm-moneymachine', substrate: 'local-process' },
    secrets: '/srv/config.yaml',
    secrets_section: 'mxm.secrets',
    socket: { path: '/run/s.sock', mode: '0660', group: 1001 },
    limits: { backend_concurrency: 3, queue: 0, backend_timeout_ms: 1, max_value_bytes: 2, connections: 1 },
    log: { level: 'silent', audit_file: 'audit.jsonl' },
  });
  t.same(config, {
    identity: { ...GOOD.identity, app: 'mxm-moneymachine', substrate: 'local-process' },
    socket: { path: '/run/s.sock', mode: 0o660, gid: 1001 },
    limits: { backendConcurrency: 3, queue: 0, backendTimeoutMs: 1, maxValueBytes: 2 },
    connections: 1,
    logLevel: 'silent',
    auditFile: '/etc/mxm/audit.jsonl',
  });
  t.same(secrets, { file: '/srv/config.yaml', section: 'mxm.secrets' });
  t.end();
});

t.test('the identity cannot be changed any more', (t) => {
  t.ok(Object.isFrozen(checked(GOOD).config?.identity));
  t.end();
});

t.test('relative paths are relative to the folder of the file', (t) => {
  t.equal(checked(withSocket({ path: 's.sock' })).config?.socket.path, '/etc/mxm/s.sock');
  t.equal(checked(withSocket({ path: '/run/../run/s.sock' })).config?.socket.path, '/run/s.sock');
  t.equal(checked(GOOD, '.').config?.socket.path, `${process.cwd().replace(/\/[^/]*$/, '')}/run/secrets.sock`);
  t.same(checked(GOOD).secrets, { file: '/etc/mxm/secrets.yaml' });
  t.same(checked(GOOD, '.').secrets, { file: 'secrets.yaml' }, 'shown as it was named');
  t.same(checked({ ...GOOD, secrets: '/srv/s.yaml' }).secrets, { file: '/srv/s.yaml' });
  t.end();
});

// --- errors

t.test('what is no mapping is refused', (t) => {
  t.same(problemsOf(null), [': is empty: it must be a mapping']);
  for (const data of ['text', 1, []]) t.same(problemsOf(data), [': must be a mapping']);
  t.end();
});

t.test('what is required is told with what it is', (t) => {
  t.same(problemsOf({}), [
    '/identity: is missing: the runtime identity of this daemon',
    '/secrets: is missing: the secrets file; relative to this file',
  ]);
  t.same(problemsOf({ ...GOOD, identity: {}, socket: {} }), [
    '/identity/machine: is missing: the machine this runs on',
    '/identity/environment: is missing: the environment this runs in: dev, prod, …',
    '/identity/role: is missing: the principal that policies name',
  ]);
  t.end();
});

t.test('unknown keys are refused, on every level', (t) => {
  for (const [data, problem] of [
    [{ ...GOOD, identiti: {} }, '/identiti: is an unknown key; did you mean "identity"?'],
    [withIdentity({ rol: 'x' }), '/identity/rol: is an unknown key; did you mean "role"?'],
    [withSocket({ paths: 'x' }), '/socket/paths: is an unknown key; did you mean "path"?'],
    [{ ...GOOD, limits: { qeue: 1 } }, '/limits/qeue: is an unknown key; did you mean "queue"?'],
    [{ ...GOOD, log: { file: 'x' } }, '/log/file: is an unknown key; known here: level, audit_file'],
  ] as const) {
    t.same(problemsOf(data), [problem]);
  }
  t.end();
});

t.test('a role is an identifier', (t) => {
  for (const role of ['Marketdata', 'market-data', '', ' marketdata', 'a'.repeat(129)]) {
    t.same(problemsOf(withIdentity({ role })), [`/identity/role: ${IDENTIFIER_RULE}`], role);
  }
  t.same(problemsOf(withIdentity({ role: 'constructor' })), []);
  t.end();
});

t.test('machine, environment, app and substrate are clean text', (t) => {
  for (const key of ['machine', 'environment', 'app', 'substrate']) {
    for (const value of ['', ' ', ' x', 'x\n', 'a\u001bb']) {
      t.same(
        problemsOf(withIdentity({ [key]: value })),
        [`/identity/${key}: must not be empty, have white space around it or hold a control character`],
        `${key} ${JSON.stringify(value)}`,
      );
    }
    t.same(problemsOf(withIdentity({ [key]: 7 })), [
      `/identity/${key}: must be a string, not a bare number: put it in quotes`,
    ]);
    t.same(problemsOf(withIdentity({ [key]: 'Größe 2' })), []);
  }
  t.end();
});

t.test('a path of 107 bytes is the longest that a socket has, counted as an absolute one', (t) => {
  const message = "/socket/path: is longer than the 107 bytes that a socket's path may have (as an absolute path)";
  const longest = `/${'a'.repeat(106)}`;
  t.same(problemsOf(withSocket({ path: longest })), []);
  t.same(problemsOf(withSocket({ path: `${longest}a` })), [message]);
  t.same(problemsOf(withSocket({ path: `/${'é'.repeat(53)}` })), []);
  t.same(problemsOf(withSocket({ path: `/${'é'.repeat(54)}` })), [message]);
  t.same(problemsOf(withSocket({ path: 'a'.repeat(98) })), [], 'with /etc/mxm/ before');
  t.same(problemsOf(withSocket({ path: 'a'.repeat(99) })), [message]);
  t.same(problemsOf(withSocket({ path: `/${'x/../'.repeat(100)}s` })), [], 'what counts is where it leads');
  t.end();
});

t.test('a mode is an octal number in quotes', (t) => {
  for (const [mode, value] of [
    ['0600', 0o600],
    ['660', 0o660],
    ['0777', 0o777],
  ] as const) {
    t.equal(checked(withSocket({ mode })).config?.socket.mode, value);
  }
  t.same(problemsOf(withSocket({ mode: 600 })), [
    '/socket/mode: must be in quotes, as "0600": a bare number is not read as octal',
  ]);
  t.same(problemsOf(withSocket({ mode: '0o600' })), ['/socket/mode: must be an octal mode in quotes, as "0600"']);
  t.same(problemsOf(withSocket({ mode: null })), ['/socket/mode: is empty: it must be a string']);
  t.end();
});

t.test('a group is the name of one, or a gid as number or text', (t) => {
  const [name, , gid] = readFileSync('/etc/group', 'utf8').split('\n')[0]?.split(':') ?? [];
  t.equal(checked(withSocket({ group: name })).config?.socket.gid, Number(gid));
  t.equal(checked(withSocket({ group: 0 })).config?.socket.gid, 0);
  t.equal(checked(withSocket({ group: '1001' })).config?.socket.gid, 1001);
  t.same(problemsOf(withSocket({ group: 'no such group' })), [
    '/socket/group: is no group in /etc/group; groups from elsewhere are named by their gid',
  ]);
  t.match(problemsOf(withSocket({ group: String(MAX_ID + 1) })), [/^\/socket\/group: is no group/]);
  for (const group of [-1, 1.5, MAX_ID + 1, '', ' x', true, []]) {
    t.same(problemsOf(withSocket({ group })), ['/socket/group: must be the name of a group or a gid'], String(group));
  }
  t.same(problemsOf(withSocket({ group: null })), ['/socket/group: is empty: it must be the name of a group or a gid']);
  t.end();
});

t.test('limits are whole numbers from 1, the queue from 0', (t) => {
  for (const [key, least, most] of [
    ['backend_concurrency', 1, 1024],
    ['queue', 0, 1_000_000],
    ['backend_timeout_ms', 1, 2_147_483_647],
    ['max_value_bytes', 1, 268_435_456],
  ] as const) {
    const message = `/limits/${key}: must be a whole number from ${least} to ${most}`;
    const limit = (value: unknown): string[] => problemsOf({ ...GOOD, limits: { [key]: value } });
    for (const value of [least, most]) t.same(limit(value), [], `${key} ${value}`);
    for (const value of [least - 1, most + 1, 1.5, NaN, true])
      t.same(limit(value), [message], `${key} ${String(value)}`);
    t.same(limit('5'), [`${message}, not in quotes`]);
    t.same(limit(null), [`/limits/${key}: is empty: it must be a whole number from ${least} to ${most}`]);
  }
  t.end();
});

t.test('a log level is one of the known ones', (t) => {
  for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']) {
    t.equal(checked({ ...GOOD, log: { level } }).config?.logLevel, level);
  }
  const message = '/log/level: must be one of trace, debug, info, warn, error, fatal, silent';
  t.same(problemsOf({ ...GOOD, log: { level: 'wran' } }), [`${message}; did you mean "warn"?`]);
  t.same(problemsOf({ ...GOOD, log: { level: 30 } }), [message]);
  t.same(problemsOf({ ...GOOD, log: 'info' }), ['/log: must be a mapping']);
  t.end();
});

t.test('a section that was left empty is told to be', (t) => {
  for (const key of ['identity', 'socket', 'limits', 'log']) {
    t.same(problemsOf({ ...GOOD, [key]: null }), [`/${key}: is empty: it must be a mapping`]);
  }
  t.end();
});

t.test('every error is told at once, also those beyond the shape', (t) => {
  t.same(
    problemsOf({
      identity: { machine: 1, environment: 'dev' },
      secrets: '',
      socket: { path: `/${'a'.repeat(107)}`, group: 'no such group', mode: 600 },
      limits: { queue: -1 },
      debug: true,
    }),
    [
      '/debug: is an unknown key; known here: identity, secrets, secrets_section, socket, limits, log, idle_exit_s',
      '/identity/role: is missing: the principal that policies name',
      '/identity/machine: must be a string, not a bare number: put it in quotes',
      '/secrets: must not be empty, have white space around it or hold a control character',
      '/socket/mode: must be in quotes, as "0600": a bare number is not read as octal',
      '/limits/queue: must be a whole number from 0 to 1000000',
      "/socket/path: is longer than the 107 bytes that a socket's path may have (as an absolute path)",
      '/socket/group: is no group in /etc/group; groups from elsewhere are named by their gid',
    ],
  );
  t.end();
});

// --- where the secrets are

t.test('where the secrets are is known although something else is wrong', (t) => {
  const { config, secrets } = checked({ secrets: 's.yaml', secrets_section: 'mxm', other: 1 });
  t.equal(config, undefined);
  t.same(secrets, { file: '/etc/mxm/s.yaml', section: 'mxm' });
  t.end();
});

t.test('where the secrets are is not guessed', (t) => {
  for (const data of [
    {},
    null,
    'text',
    [],
    { secrets: 7 },
    { secrets: '' },
    { secrets: 'a\u0000b' },
    { secrets: ['s.yaml'] },
    { secrets: 's.yaml', secrets_section: 7 },
    { secrets: 's.yaml', secrets_section: '' },
    { secrets: 's.yaml', secrets_section: undefined },
  ]) {
    t.equal(checked(data).secrets, undefined, JSON.stringify(data));
  }
  t.end();
});

// --- who connects, and to what

function problemsWhen(surroundings: LaunchSurroundings, data: unknown): string[] {
  const { told, report } = collector();
  checkLaunch(data, FOLDER, report, surroundings);
  return told;
}

t.test('socket.allow names users and groups, or gives their numbers', (t) => {
  const allow = { users: ['root', 1001, '1002'], groups: ['root', 4_294_967_294] };
  t.same(checked(withSocket({ allow })).config?.socket.allow, { uids: [0, 1001, 1002], gids: [0, MAX_ID] });
  t.same(checked(withSocket({ allow: {} })).config?.socket.allow, { uids: [], gids: [] }, 'nobody may ask');
  t.equal(checked(GOOD).config?.socket.allow, undefined, 'everybody may');
  t.end();
});

t.test('what socket.allow does not know is told, each at its place', (t) => {
  t.same(
    problemsOf(withSocket({ allow: { users: ['no such user', 1, true, -1], groups: ['no such group'], gruops: [] } })),
    [
      '/socket/allow/gruops: is an unknown key; did you mean "groups"?',
      '/socket/allow/users/2: must be the name of a user or a uid',
      '/socket/allow/users/3: must be the name of a user or a uid',
      '/socket/allow/users/0: is no user in /etc/passwd; users from elsewhere are named by their uid',
      '/socket/allow/groups/0: is no group in /etc/group; groups from elsewhere are named by their gid',
    ],
  );
  t.same(problemsOf(withSocket({ allow: [] })), ['/socket/allow: must be a mapping']);
  t.same(problemsOf(withSocket({ allow: { users: 'root' } })), ['/socket/allow/users: must be a list']);
  t.end();
});

t.test('where it cannot be told who connects, socket.allow is an error', (t) => {
  const message = 'cannot be kept here, as it cannot be told who connects: remove it, and use mode and group';
  t.same(problemsWhen({ tellsPeers: false }, withSocket({ allow: {} })), [`/socket/allow: ${message}`]);
  t.same(problemsWhen({ tellsPeers: false }, GOOD), []);
  t.end();
});

t.test('a daemon that inherits its socket needs none in the file, and may leave when idle', (t) => {
  const without = { identity: GOOD.identity, secrets: GOOD.secrets };
  t.same(problemsWhen({ listensOn: 'inherited' }, { ...without, idle_exit_s: 3 }), []);
  t.same(checked({ ...without, idle_exit_s: 3 }).config?.idleExitMs, 3_000);
  t.same(checked(without).config?.socket, { mode: 0o600 });
  t.same(problemsWhen({ listensOn: 'inherited' }, withSocket({})), [], 'nor does one do harm');
  t.same(problemsOf({ ...GOOD, idle_exit_s: 0 }), ['/idle_exit_s: must be a whole number from 1 to 2147483']);
  t.end();
});

t.test('a daemon that makes its socket needs to know where, and cannot be started again', (t) => {
  const without = { identity: GOOD.identity, secrets: GOOD.secrets };
  const missing = 'is missing: where to listen, as no socket is inherited';
  t.same(problemsWhen({ listensOn: 'own' }, GOOD), []);
  t.same(problemsWhen({ listensOn: 'own' }, without), [`/socket: ${missing}`]);
  t.same(problemsWhen({ listensOn: 'own' }, { ...without, socket: {} }), [`/socket/path: ${missing}`]);
  t.same(problemsWhen({ listensOn: 'own' }, { ...without, socket: [] }), ['/socket: must be a mapping']);
  const idle = '/idle_exit_s: is for an inherited socket, and there is none: nobody would start the daemon again';
  t.same(problemsWhen({ listensOn: 'own' }, { ...GOOD, idle_exit_s: 3 }), [idle]);
  t.same(problemsWhen({ listensOn: 'own' }, { ...GOOD, idle_exit_s: 0 }), [
    '/idle_exit_s: must be a whole number from 1 to 2147483',
    idle,
  ]);
  t.same(problemsWhen({ listensOn: 'own' }, []), [': must be a mapping']);
  t.end();
});
