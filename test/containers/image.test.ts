// The images that `.ci/container` has built, run as the engines run them.
import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { VERSION } from '../../src/version.js';
import { type Container, isThere, memoryVolume, readImage, realImages, startContainer } from '../support/container.js';
import { ROOT } from '../support/markdown.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';
import { until } from '../support/until.js';

const { skip } = realImages();

const LAUNCH = `identity: { machine: bridge, environment: dev, role: demo }
secrets: secrets.yaml
socket: { path: /run/mxm-secretsd/secrets.sock }
`;

const FROM_ENVIRONMENT = `stores: { demo: { backend: env, root: mxm } }
refs:
  greeting: { store: demo, path: greeting, policy: for_demo }
  master_key: { store: demo, path: master-key, policy: for_nobody }
policies: { for_demo: { allowed_principals: [demo] }, for_nobody: { allowed_principals: [] } }
`;

const FROM_GOPASS = `stores: { red: { backend: gopass, root: mxm/red } }
refs: { api_key: { store: red, path: api_key, policy: for_demo } }
policies: { for_demo: { allowed_principals: [demo] } }
`;

/** A folder for /etc/mxm-secretsd, as root would make it. */
function configuration(t: Test, secrets: string): string {
  const folder = join(temporaryFolder(t), 'c');
  mkdirSync(folder, { mode: 0o755 });
  writeFile(folder, 'launch.yaml', LAUNCH, 0o644);
  writeFile(folder, 'secrets.yaml', secrets, 0o644);
  return folder;
}

/** The mounts that an image needs beside its own files: its configuration, and where the socket is. */
async function mountsFor(t: Test, secrets: string): Promise<{ from: string; to: string; writable?: boolean }[]> {
  return [
    { from: configuration(t, secrets), to: '/etc/mxm-secretsd' },
    { from: await memoryVolume(t, 'mode=0750,uid=10001,gid=10001'), to: '/run/mxm-secretsd', writable: true },
  ];
}

/** Asks as a container engine does until the image calls itself healthy. */
async function untilHealthy(container: Container, target: string): Promise<void> {
  const [, ...check] = readImage(target).config.Healthcheck.Test;
  await until(async () => (await container.exec(check)).status === 0);
}

t.test('the image starts as no root, gets healthy, answers, and ends with 0 on SIGTERM', { skip }, async (t) => {
  const image = readImage('mxm-secretsd');
  const container = startContainer(t, image, {
    mounts: await mountsFor(t, FROM_ENVIRONMENT),
    env: ['MXM_GREETING=hello'],
  });
  await untilHealthy(container, 'mxm-secretsd');

  t.same(await container.exec(['mxm-secretsd', 'get', 'greeting']), { status: 0, stdout: 'hello', stderr: '' });
  t.equal((await container.exec(['mxm-secretsd', 'get', 'master_key'])).status, 77);

  const kept = 'ls -d /opt/mxm-secretsd/dist/code-$(node -p process.version)-*';
  t.equal((await container.exec(['sh', '-c', kept])).stdout.trim().split('\n').length, 2, 'it starts quickly');

  const ids = /^Uid:\t(.*)\nGid:\t(.*)$/m.exec((await container.exec(['cat', '/proc/1/status'])).stdout);
  t.same(ids?.slice(1), ['10001\t10001\t10001\t10001', '10001\t10001\t10001\t10001']);
  t.match((await container.exec(['cat', '/proc/1/comm'])).stdout, /^tini$/m, 'process 1 reaps');
  t.not((await container.exec(['touch', '/opt/mxm-secretsd/x'])).status, 0, 'its files are read-only');

  await container.kill(image.config.StopSignal);
  t.equal(await container.ended, 0);
  t.match(container.stdout(), '"event":"stopped"');
});

t.test('the image is unhealthy without a daemon, and does not start on files in error', { skip }, async (t) => {
  const image = readImage('mxm-secretsd');
  const mounts = await mountsFor(t, 'stores: {}\n');
  const idle = startContainer(t, image, {
    mounts,
    entrypoint: ['/usr/bin/tini', '-s', '--', 'sleep'],
    command: ['600'],
  });
  await until(async () => (await idle.exec(['true'])).status === 0);
  t.equal((await idle.exec(['mxm-secretsd', 'health'])).status, 69);
  await idle.kill('KILL');
  t.equal(await startContainer(t, image, { mounts }).ended, 78);
});

t.test('process 1 reaps what a program leaves behind', { skip }, async (t) => {
  const container = startContainer(t, readImage('mxm-secretsd'), {
    mounts: await mountsFor(t, FROM_ENVIRONMENT),
    env: ['MXM_GREETING=hello'],
  });
  await untilHealthy(container, 'mxm-secretsd');
  const { stdout } = await container.exec(['sh', '-c', 'sleep 600 > /dev/null 2>&1 & echo $!']);
  const orphan = `/proc/${stdout.trim()}`;
  await until(async () => /^PPid:\t1$/m.test((await container.exec(['cat', `${orphan}/status`])).stdout));
  await container.exec(['sh', '-c', `kill ${stdout.trim()}`]);
  await until(async () => (await container.exec(['test', '-e', orphan])).status !== 0);
  t.pass('it is gone');
});

t.test('the image holds what runs, and nothing that only developers need', { skip }, (t) => {
  const image = readImage('mxm-secretsd');
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>;
  };
  for (const [folder, { dev, optional }] of Object.entries(packages)) {
    if (folder === '' || optional === true) continue;
    t.equal(isThere(image, `opt/mxm-secretsd/${folder}`), dev !== true, folder);
  }
  for (const absent of ['opt/mxm-secretsd/src', 'src', 'usr/local/bin/gopass', 'usr/bin/gpg'])
    t.notOk(isThere(image, absent), absent);
  t.ok(isThere(image, 'opt/mxm-secretsd/LICENSE'));
  t.end();
});

t.test('the user of the image may read all of it, whatever the modes of the clone were', (t) => {
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  t.match(dockerfile, /&& mv [^&]* \/opt\/mxm-secretsd \\\n {2}&& chmod -R u\+rwX,go\+rX,go-w \/opt\/mxm-secretsd\n/);
  t.end();
});

t.test('the image says what it is', { skip }, (t) => {
  const { Labels } = readImage('mxm-secretsd').config;
  t.equal(Labels['org.opencontainers.image.version'], VERSION);
  t.equal(Labels['org.opencontainers.image.title'], 'mxm-secretsd');
  t.end();
});

t.test('the image with gopass hands out what the store of its user holds', { skip }, async (t) => {
  const image = readImage('gopass');
  const home = await memoryVolume(t, 'mode=0700,uid=10001,gid=10001');
  const mounts = [...(await mountsFor(t, FROM_GOPASS)), { from: home, to: '/var/lib/mxm-secretsd', writable: true }];
  const container = startContainer(t, image, { mounts });
  await until(async () => {
    await container.exec(['mxm-secretsd', 'get', 'api_key']);
    return container.stdout().includes('"reason":"not_initialised"');
  });

  // As the README tells it.
  for (const command of [
    "gpg --batch --quiet --passphrase '' --quick-generate-key 'mxm-secretsd on bridge' default default never",
    "gopass --yes init --crypto gpgcli --storage fs 'mxm-secretsd on bridge'",
    "printf '%s' 'k-12345' | gopass insert mxm/red/api_key",
  ]) {
    const { status, stderr } = await container.exec(['sh', '-c', command]);
    t.equal(status, 0, `${command}: ${stderr}`);
  }
  t.same(await container.exec(['mxm-secretsd', 'get', 'api_key']), { status: 0, stdout: 'k-12345', stderr: '' });
  await untilHealthy(container, 'gopass');
  await container.kill('TERM');
  t.equal(await container.ended, 0);
});

t.test('the image does not start on files that belong to somebody else', { skip }, async (t) => {
  const folder = configuration(t, FROM_ENVIRONMENT);
  chownSync(join(folder, 'launch.yaml'), 4711, 4711);
  const image = readImage('mxm-secretsd');
  t.equal(await startContainer(t, image, { mounts: [{ from: folder, to: '/etc/mxm-secretsd' }] }).ended, 78);
});
