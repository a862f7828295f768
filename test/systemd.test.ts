import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { realComponent, onPath, realGopass, realGpg, skipWithout } from './support/real_component.js';
import { bootSystemd, filesWithProgram, type Machine, type Ran, realSystemd } from './support/systemd.js';
import { type Ending, writeFile } from './support/temporary.js';
import { until } from './support/until.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const UNITS = ['mxm-secretsd@.service', 'mxm-secretsd@.socket'];

const logrotate = realComponent('logrotate', onPath('logrotate'));
const analyze = realComponent('systemd-analyze', onPath('systemd-analyze'));

t.test('the exposure of the service is 0.5 at most', { skip: analyze.skip }, (t) => {
  const unit = join(ROOT, 'systemd/mxm-secretsd@.service');
  const report = execFileSync(analyze.file, ['security', '--offline=true', unit], { encoding: 'utf8' });
  const exposure = Number(/Overall exposure level for .*: ([\d.]+)/.exec(report)?.[1]);
  t.ok(exposure <= 0.5, `it is ${exposure}`);
  t.end();
});

const SERVICE = 'mxm-secretsd@marketdata.service';
const SOCKET = '/run/mxm-secretsd/marketdata/secrets.sock';
const INSTALL = '/opt/mxm-secretsd/systemd/install';
const COMMAND = '/usr/local/bin/mxm-secretsd';
const KEY = 'db-12345 ünd\ttwo\nlines';

/** What systemd takes for all credentials of a unit, with their ids. */
const MAX_CREDENTIALS = 1_048_576;
const LARGEST = MAX_CREDENTIALS - 'largest'.length;

const LAUNCH = `identity: { machine: bridge, environment: dev, role: marketdata }
secrets: secrets.yaml
socket: { allow: { groups: [mxm-marketdata] } }
idle_exit_s: 5
`;
const SECRETS = `stores: { red: { backend: gopass, root: mxm/red } }
refs:
  databento_api_key: { store: red, path: marketdata/databento/api_key, policy: marketdata_access }
  k: { store: red, path: marketdata/databento/api_key, policy: marketdata_access }
  largest: { store: red, path: largest, policy: marketdata_access }
  too_large: { store: red, path: too_large, policy: marketdata_access }
  master_key: { store: red, path: master_key, policy: nobody }
  absent: { store: red, path: absent, policy: marketdata_access }
policies:
  marketdata_access: { allowed_principals: [marketdata] }
  nobody: { allowed_principals: [] }
`;

/** The files of the machine: the package as `systemd/install` makes it from a clone, Node, gopass, the configuration. */
function filesOfMachine(t: Ending): string {
  const files = filesWithProgram(t);
  copyFileSync(realGopass().file, join(files, 'usr/local/bin/gopass'));
  const write = (name: string, text: string): void => void writeFile(join(files, 'etc'), name, text, 0o644);
  write('mxm-secretsd/marketdata.yaml', LAUNCH);
  write('mxm-secretsd/secrets.yaml', SECRETS);
  write('mxm-secretsd/broken.yaml', 'identity: {}\n');
  // However slow this machine is.
  write('systemd/system/mxm-secretsd@broken.service.d/limit.conf', '[Unit]\nStartLimitIntervalSec=250\n');
  write('systemd/system/reader.service', consumer('databento_api_key'));
  write('systemd/system/denied.service', consumer('master_key'));
  write('systemd/system/absent.service', consumer('absent'));
  write('systemd/system/unknown.service', consumer('unknown'));
  write('systemd/system/no-name.service', consumer('No-Name'));
  write('systemd/system/largest.service', consumer('largest'));
  write('systemd/system/too-large.service', consumer('too_large'));
  for (const unit of [longUnit(83), longUnit(99)]) write(`systemd/system/${unit}`, consumer('k'));
  return files;
}

/** What the README puts beside the unit for an audit file. */
function auditDropIn(): string {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  return /```ini\n( *\[Service\]\n *LogsDirectory[^`]*)```/.exec(readme)![1]!.replace(/^ +/gm, '');
}

/** With an id of one character it has so many with it. */
function longUnit(characters: number): string {
  return `${'u'.repeat(characters - 1 - '.service'.length)}.service`;
}

/** A unit that keeps what it was given. */
function consumer(id: string): string {
  return `[Service]
Type=oneshot
LoadCredential=${id}:${SOCKET}
ExecStart=/bin/sh -c 'test -s "$$0" && exec "$$@"' %d/${id} /bin/cp %d/${id} /run/%p
`;
}

/** A command as a user whose number has no name and who is in the group of the role. */
const CLIENT = ['sh', '-c', 'exec setpriv --reuid=12345 --regid=12345 --groups="$(stat -c %g "$0")" "$@"', SOCKET];
const CURL = ['curl', '--silent', '--show-error', '--unix-socket', SOCKET];

function askFor(machine: Machine, path: string): Promise<Ran> {
  return machine.run(...CLIENT, ...CURL, '--header', 'Accept: text/plain', `http://localhost${path}`);
}

async function auditOf(machine: Machine, secret: string): Promise<Record<string, unknown>[]> {
  return (await machine.journal(SERVICE))
    .split('\n')
    .filter((line) => line.startsWith('{') && line.includes('"event":"secret_access"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((record) => record['secret'] === secret);
}

async function untilState(machine: Machine, unit: string, state: string): Promise<void> {
  while ((await machine.property(unit, 'ActiveState')) !== state)
    await new Promise((resolve) => setTimeout(resolve, 100));
}

/** What the README tells an operator to do as the user of the role. */
async function makeStore(machine: Machine): Promise<void> {
  const home = '/var/lib/mxm-secretsd/marketdata';
  const script = `
    umask 077; mkdir "$GNUPGHOME"
    gpg --batch --quiet --passphrase '' --quick-generate-key 'mxm-secretsd on bridge' future-default default never
    gopass init --storage fs 'mxm-secretsd on bridge'
    printf '%s' "$1" | gopass insert mxm/red/marketdata/databento/api_key
    printf '%s' "$1" | gopass insert mxm/red/master_key
    head -c ${LARGEST} /dev/zero | tr '\\0' x | gopass insert mxm/red/largest
    head -c ${MAX_CREDENTIALS} /dev/zero | tr '\\0' x | gopass insert mxm/red/too_large
    gpgconf --kill all`;
  const user = ['runuser', '-u', 'mxm-marketdata', '--', 'env', '-i', `HOME=${home}`, `GNUPGHOME=${home}/gnupg`];
  await machine.must(...user, 'PATH=/usr/local/bin:/usr/bin:/bin', 'sh', '-euc', script, 'sh', KEY);
}

const skip = skipWithout(realSystemd(), realGopass(), realGpg(), realComponent('curl', onPath('curl')));

t.test('under a real systemd', { skip }, async (t) => {
  const files = filesOfMachine(t);
  const machine = await bootSystemd(t, files);

  await t.test('one command installs it, and makes the user and the socket of a role', async (t) => {
    t.match(await machine.must(INSTALL, 'marketdata'), SOCKET);
    t.match(await machine.must('stat', '-c', '%A %U %G', SOCKET), 'srw-rw---- root mxm-marketdata');
    t.equal(await machine.property(SERVICE, 'ActiveState'), 'inactive', 'nobody has asked yet');
    for (const unit of UNITS) {
      const instance = unit.replace('@', '@marketdata');
      t.same(await machine.run('systemd-analyze', 'verify', '--man=no', instance), {
        status: 0,
        stdout: '',
        stderr: '',
      });
    }
    await makeStore(machine);
  });

  await t.test('and puts the command on the PATH', async (t) => {
    t.match(await machine.must('sh', '-c', 'cd / && mxm-secretsd --version'), /^mxm-secretsd \d/);
    const said = await machine.must(
      'mxm-secretsd',
      'check',
      '--launch',
      '/etc/mxm-secretsd/marketdata.yaml',
      '--offline',
    );
    t.match(said, /databento_api_key\t/);
  });

  await t.test('another command of its name is neither replaced nor removed', async (t) => {
    const install = async (...args: string[]) => machine.run('env', 'DESTDIR=/run/destination', INSTALL, ...args);
    const inDestination = `/run/destination${COMMAND}`;
    await machine.must('mkdir', '-p', dirname(inDestination));
    for (const [make, look] of [
      [
        ['cp', '/bin/true', inDestination],
        ['cmp', '/bin/true', inDestination],
      ],
      [
        ['ln', '-sf', COMMAND, inDestination],
        ['test', '-L', inDestination],
      ],
      [
        ['ln', '-sf', '/nowhere', inDestination],
        ['test', '-L', inDestination],
      ],
    ] as const) {
      await machine.must(...make);
      t.match(await install(), { status: 0, stderr: `${inDestination} is not of this script and stays as it is` });
      t.match(await install('--remove'), { status: 0 });
      await t.resolves(machine.must(...look));
    }
    t.not((await machine.run('test', '-e', '/nowhere')).status, 0);
    await machine.must('rm', inDestination);
    t.match(await install(), { status: 0, stderr: '' });
    t.match(await install(), { status: 0, stderr: '' }, 'its own is put anew');
    await t.resolves(machine.must('test', '-x', inDestination));
    await install('--remove');
    t.not((await machine.run('test', '-e', inDestination)).status, 0, 'and removed');
  });

  await t.test('the socket starts the service, which says when it is ready, and what it serves', async (t) => {
    t.same(await askFor(machine, '/secrets/databento_api_key'), {
      status: 0,
      stdout: Buffer.from(KEY).toString('latin1'),
      stderr: '',
    });
    t.equal(await machine.property(SERVICE, 'ActiveState'), 'active');
    await t.resolves(machine.must('systemctl', 'is-active', SERVICE));
    t.match(await untilStatus(machine, /ready/), 'marketdata may read 5 secrets; all stores are ready');
    t.match(await auditOf(machine, 'databento_api_key'), [{ outcome: 'ok', peer: { uid: 12345, gid: 12345 } }]);
  });

  await t.test('what runs is in the sandbox', async (t) => {
    await askFor(machine, '/healthz');
    const pid = await machine.property(SERVICE, 'MainPID');
    const status = await machine.must('cat', `/proc/${pid}/status`);
    for (const line of [/^CapBnd:\t0+$/m, /^NoNewPrivs:\t1$/m, /^Seccomp:\t2$/m]) t.match(status, line);
    t.match(await machine.must('cat', `/proc/${pid}/net/dev`), /^.*\n.*\n *lo:.*\n$/, 'there is no network');
    const beside = ['nsenter', `--target=${pid}`, '--mount', 'touch', '/etc/mxm-secretsd/x'];
    t.match(await machine.run(...beside), { stderr: /Read-only file system/ }, 'not even root writes to its files');
  });

  await t.test('what the environment of systemd would bring into Node is not run', async (t) => {
    await machine.must('systemctl', 'set-environment', 'NODE_OPTIONS=--require=/nowhere.cjs');
    await machine.must('systemctl', 'restart', SERVICE);
    t.match(await askFor(machine, '/healthz'), { status: 0, stdout: /ok/ });
    await machine.must('systemctl', 'unset-environment', 'NODE_OPTIONS');
  });

  await t.test('whom socket.allow does not list is denied', async (t) => {
    t.match(await machine.run(...CURL, 'http://localhost/secrets/absent'), { stdout: /"code":"peer_denied"/ });
    t.match(await auditOf(machine, 'absent'), [
      { decision: 'denied', outcome: 'peer_denied', peer: { uid: 0, gid: 0 } },
    ]);
    const stranger = ['setpriv', '--reuid=12345', '--regid=12345', '--clear-groups'];
    t.match(await machine.run(...stranger, ...CURL, 'http://localhost/healthz'), { status: 7 }, 'by the mode, that is');
  });

  await t.test('a unit gets exactly the bytes of the secret', async (t) => {
    t.match(await machine.run('systemctl', 'start', 'reader.service'), { status: 0, stderr: '' });
    t.equal(readFileSync(machine.file('/run/reader'), 'utf8'), KEY);
    const records = (await auditOf(machine, 'databento_api_key')).filter(({ via }) => via === 'systemd-credential');
    t.ok(records.length > 0);
    for (const record of records)
      t.match(record, { decision: 'allowed', outcome: 'ok', peer: { uid: 0, unit: 'reader.service' } });
  });

  await t.test('a unit may be given 1 MiB, its id counted, and with more it does not start', async (t) => {
    t.match(await machine.run('systemctl', 'start', 'largest.service'), { status: 0, stderr: '' });
    t.equal(readFileSync(machine.file('/run/largest'), 'latin1'), 'x'.repeat(LARGEST));
    t.not((await machine.run('systemctl', 'start', 'too-large.service')).status, 0);
    t.not((await machine.run('test', '-e', '/run/too-large')).status, 0);
  });

  await t.test('a unit that gets none does not start, and the journal says why', async (t) => {
    for (const [unit, id, decision, outcome] of [
      ['denied', 'master_key', 'denied', 'access_denied'],
      ['absent', 'absent', 'allowed', 'secret_not_found'],
      ['unknown', 'unknown', 'unknown', 'unknown_secret'],
      ['no-name', 'No-Name', 'invalid', 'invalid_secret_name'],
    ] as const) {
      t.not((await machine.run('systemctl', 'start', `${unit}.service`)).status, 0, unit);
      t.equal(await machine.property(`${unit}.service`, 'ExecMainStatus'), '243', 'CREDENTIALS: nothing of it ran');
      const records = (await auditOf(machine, id)).filter(({ via }) => via === 'systemd-credential');
      t.match(records.at(-1), { decision, outcome, peer: { unit: `${unit}.service` } });
      t.match(
        await machine.journal(SERVICE),
        new RegExp(`"credential_refused".*"unit":"${unit}.service","secret":"${id}","code":"${outcome}"`),
      );
    }
  });

  await t.test(
    'the name of a unit and its id may have 83 characters together, and with 16 more it never starts',
    async (t) => {
      t.match(await machine.run('systemctl', 'start', longUnit(83)), { status: 0, stderr: '' });
      t.equal(readFileSync(machine.file(`/run/${longUnit(83).replace('.service', '')}`), 'utf8'), KEY);
      // systemd puts a number of chance before them, of up to 16 digits: in between it is a matter of luck.
      t.not((await machine.run('systemctl', 'start', longUnit(99))).status, 0);
    },
  );

  await t.test('its audit file is rotated as config/logrotate says', { skip: logrotate.skip }, async (t) => {
    const launch = machine.file('/etc/mxm-secretsd/marketdata.yaml');
    const folder = '/var/log/mxm-secretsd/marketdata';
    writeFileSync(launch, LAUNCH.replace(/idle_exit_s: \d+/, `log: { audit_file: ${folder}/audit.jsonl }`));
    mkdirSync(machine.file('/etc/systemd/system/mxm-secretsd@.service.d'));
    writeFileSync(machine.file('/etc/systemd/system/mxm-secretsd@.service.d/audit.conf'), auditDropIn());
    await machine.must('systemctl', 'daemon-reload');
    await machine.must('systemctl', 'restart', SERVICE);
    await askFor(machine, '/secrets/before');
    const pid = await machine.property(SERVICE, 'MainPID');
    const rotation = ['logrotate', '--force', '--state', '/run/rotated', '/opt/mxm-secretsd/config/logrotate'];
    t.same(await machine.run(...rotation), { status: 0, stdout: '', stderr: '' });
    await until(() => existsSync(machine.file(`${folder}/audit.jsonl`)));
    await askFor(machine, '/secrets/after');
    t.equal(await machine.property(SERVICE, 'MainPID'), pid);
    for (const [name, secret] of [
      ['audit.jsonl.1', 'before'],
      ['audit.jsonl', 'after'],
    ] as const) {
      const file = `${folder}/${name}`;
      t.match(await machine.must('stat', '-c', '%A %U', file), '-rw------- mxm-marketdata');
      const records = (await machine.must('cat', file)).trimEnd().split('\n');
      t.same(
        records.map((line) => (JSON.parse(line) as { secret: string }).secret),
        [secret],
      );
    }
    writeFileSync(launch, LAUNCH);
    await machine.must('systemctl', 'restart', SERVICE);
  });

  await t.test('after SIGKILL under load the next request is answered', async (t) => {
    const loop = 'while :; do "$@" >/dev/null; done';
    for (let count = 0; count < 3; count += 1) {
      machine.start(...CLIENT, 'sh', '-c', loop, 'sh', ...CURL, 'http://localhost/secrets/databento_api_key');
    }
    await askFor(machine, '/healthz');
    const before = await machine.property(SERVICE, 'MainPID');
    await machine.must('systemctl', 'kill', '--signal=KILL', SERVICE);
    t.match(await askFor(machine, '/secrets/databento_api_key'), {
      status: 0,
      stdout: Buffer.from(KEY).toString('latin1'),
    });
    t.not(await machine.property(SERVICE, 'MainPID'), before);
  });

  await t.test('systemctl reload reads the configuration again', async (t) => {
    writeFileSync(machine.file('/etc/mxm-secretsd/secrets.yaml'), SECRETS.replace(/ {2}k:.*\n/, ''));
    await askFor(machine, '/healthz');
    await machine.must('systemctl', 'reload', SERVICE);
    t.match(await untilStatus(machine, /may read 4 secrets; all/), /ready/);
  });

  await t.test('it leaves when nobody asks, and is back with the next request', async (t) => {
    await machine.must('pkill', '-x', '-U', '12345', 'sh');
    await untilState(machine, SERVICE, 'inactive');
    t.equal(await machine.property(SERVICE, 'Result'), 'success');
    t.match(await askFor(machine, '/secrets/databento_api_key'), {
      status: 0,
      stdout: Buffer.from(KEY).toString('latin1'),
    });
  });

  await t.test('an update restarts the roles that run, whichever are named', async (t) => {
    const launch = machine.file('/etc/mxm-secretsd/marketdata.yaml');
    writeFileSync(launch, LAUNCH.replace(/idle_exit_s: .*\n/, ''));
    await machine.must('systemctl', 'restart', SERVICE);
    const before = await machine.property(SERVICE, 'MainPID');
    await machine.must(INSTALL, 'other');
    t.equal(await machine.property(SERVICE, 'ActiveState'), 'active');
    t.not(await machine.property(SERVICE, 'MainPID'), before);
    t.equal(await machine.property('mxm-secretsd@other.service', 'ActiveState'), 'inactive', 'which nobody has asked');
    writeFileSync(launch, LAUNCH);
    await machine.must('systemctl', 'stop', SERVICE);
    t.match(await machine.run(INSTALL), { status: 0, stderr: '' }, 'with none that runs, too');
  });

  await t.test('a configuration in error is not tried for ever', async (t) => {
    await machine.must(INSTALL, 'broken');
    const broken = ['curl', '--silent', '--max-time', '20', '--unix-socket', '/run/mxm-secretsd/broken/secrets.sock'];
    t.not((await machine.run(...broken, 'http://localhost/healthz')).status, 0);
    await untilState(machine, 'mxm-secretsd@broken.socket', 'failed');
    const starts = (await machine.journal('mxm-secretsd@broken.service')).match(/identity\.role: is missing/g) ?? [];
    t.ok(starts.length >= 1 && starts.length <= 10, `${starts.length} starts`);
  });

  await t.test('it can be removed again', async (t) => {
    const said = await machine.must(INSTALL, '--remove');
    t.match(said, '/var/lib/mxm-secretsd');
    for (const place of ['/usr/local/lib/mxm-secretsd', COMMAND])
      t.not((await machine.run('test', '-e', place)).status, 0, place);
    t.match(await machine.must('systemctl', 'list-unit-files', 'mxm-secretsd*', '--no-legend').catch(() => ''), /^$/);
    t.not((await machine.run('test', '-e', SOCKET)).status, 0);
  });
});

async function untilStatus(machine: Machine, wanted: RegExp): Promise<string> {
  for (;;) {
    const status = await machine.property(SERVICE, 'StatusText');
    if (wanted.test(status)) return status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
