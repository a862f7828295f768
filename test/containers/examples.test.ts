// The examples for Compose and Kubernetes: well formed, in accord with the image, and what of them can be run, run.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfiguration } from '../../src/config/load.js';
import { VERSION } from '../../src/version.js';
import { memoryVolume, type Mount, readImage, realImages, runContainer, startContainer } from '../support/container.js';
import { ROOT } from '../support/markdown.js';
import { onPath, realComponent } from '../support/real_component.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';
import { until } from '../support/until.js';

const COMPOSE = join(ROOT, 'config/compose/compose.yaml');
const POD = join(ROOT, 'config/kubernetes/pod.yaml');
const VALUE = 'p\u00e4ss word\n';

const images = realImages();
const linters = process.env['MXM_TEST_MANIFEST_LINTERS'];
const linter = (name: string): ReturnType<typeof realComponent> =>
  realComponent(
    name,
    linters === undefined ? onPath(name) : join(linters, name),
    ': name it with MXM_TEST_MANIFEST_LINTERS',
  );
const composeLinter = linter('check-jsonschema');
const podLinter = linter('kubernetes-validate');

interface Compose {
  readonly services: Readonly<
    Record<'secretsd' | 'fetch', { healthcheck: { test: string[] }; command: string[] } & Record<string, unknown>>
  >;
  readonly volumes: Readonly<Record<'socket' | 'db_password', { driver_opts: { type: string; o: string } }>>;
}

interface PodContainer {
  readonly name: string;
  readonly args: string[];
  readonly command: string[];
  readonly restartPolicy?: string;
  readonly startupProbe: { exec: { command: string[] } };
  readonly securityContext: Readonly<Record<string, unknown>> & { runAsUser: number; runAsGroup: number };
  readonly volumeMounts: { name: string; mountPath: string }[];
}

interface Pod {
  readonly spec: {
    initContainers: PodContainer[];
    containers: PodContainer[];
    securityContext: { fsGroup: number };
    volumes: { name: string; emptyDir?: { medium?: string } }[];
  };
}

const compose = parse(readFileSync(COMPOSE, 'utf8')) as Compose;
const [configMap, pod] = parseAllDocuments(readFileSync(POD, 'utf8')).map((document) => document.toJS() as unknown) as [
  { data: Record<string, string> },
  Pod,
];
const [sidecar, fetch] = pod.spec.initContainers as [PodContainer, PodContainer];

t.test('the Compose file holds to the schema of Compose', { skip: composeLinter.skip }, (t) => {
  const ran = spawnSync(composeLinter.file, ['--builtin-schema', 'vendor.compose-spec', COMPOSE], { encoding: 'utf8' });
  t.equal(ran.status, 0, ran.stdout);
  t.end();
});

t.test('the pod holds to the schema of Kubernetes', { skip: podLinter.skip }, (t) => {
  const ran = spawnSync(podLinter.file, ['--strict', POD], { encoding: 'utf8' });
  t.equal(ran.status, 0, ran.stdout + ran.stderr);
  t.end();
});

t.test('the configuration in the examples is accepted', (t) => {
  const folder = temporaryFolder(t);
  for (const [name, text] of Object.entries(configMap.data)) writeFile(folder, `pod/${name}`, text);
  for (const name of ['launch.yaml', 'secrets.yaml'])
    writeFile(folder, `compose/${name}`, readFileSync(join(ROOT, 'config/compose', name)));
  for (const example of ['pod', 'compose']) {
    const { registries } = loadConfiguration(join(folder, example, 'launch.yaml'));
    t.same(registries.refs.names(), ['db_password'], example);
  }
  t.end();
});

t.test('no container of the examples that runs the daemon or asks it has a right that it does not need', (t) => {
  for (const { name, securityContext } of [...pod.spec.initContainers, ...pod.spec.containers]) {
    t.match(
      securityContext,
      { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      name,
    );
  }
  for (const name of ['secretsd', 'fetch'] as const) {
    const rights = {
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      network_mode: 'none',
    };
    t.match(compose.services[name], rights, name);
  }
  t.end();
});

t.test('the examples have the user, the socket and the places of the Dockerfile', (t) => {
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const [, uid, gid] = /^USER (\d+):(\d+)$/m.exec(dockerfile) ?? [];
  const socket = /MXM_SECRETSD_SOCKET=(\S+)/.exec(dockerfile)?.[1];
  const launch = /"--launch", "([^"]+)"/.exec(dockerfile)?.[1];
  const { runAsUser, runAsGroup } = sidecar.securityContext;
  t.same([runAsUser, runAsGroup, pod.spec.securityContext.fsGroup].map(String), [uid, gid, gid]);
  t.same(compose.services.fetch['group_add'], [gid]);
  t.match(compose.volumes.socket.driver_opts.o, `uid=${String(uid)},gid=${String(gid)},`);
  for (const text of [configMap.data['launch.yaml'], readFileSync(join(ROOT, 'config/compose/launch.yaml'), 'utf8')]) {
    t.match(parse(String(text)), { socket: { path: socket, group: Number(gid) } });
  }
  const mounted = sidecar.volumeMounts.map(({ mountPath }) => mountPath);
  t.ok(mounted.includes(dirname(String(launch))) && mounted.includes(dirname(String(socket))));
  t.match(dockerfile, `org.opencontainers.image.version="${VERSION}"`);
  t.end();
});

t.test('what the containers share stays in memory', (t) => {
  for (const wanted of ['socket', 'db-password'])
    t.match(
      pod.spec.volumes.find(({ name }) => name === wanted),
      { emptyDir: { medium: 'Memory' } },
      wanted,
    );
  for (const [name, { driver_opts }] of Object.entries(compose.volumes).filter(([name]) => name !== 'db'))
    t.equal(driver_opts.type, 'tmpfs', name);
  t.end();
});

t.test('the sidecar of the pod runs on beside what comes after it, which begins when it is ready', (t) => {
  t.match(sidecar, { name: 'secretsd', restartPolicy: 'Always', startupProbe: {} });
  t.equal(fetch.restartPolicy, undefined);
  t.end();
});

t.test('every volume that the pod mounts is one of its own', (t) => {
  const volumes = new Set(pod.spec.volumes.map(({ name }) => name));
  const mounted = [...pod.spec.initContainers, ...pod.spec.containers].flatMap(({ volumeMounts }) => volumeMounts);
  t.same(new Set(mounted.map(({ name }) => name)), volumes);
  t.end();
});

t.test('the Compose file brings the password to where postgres reads it', { skip: images.skip }, async (t) => {
  const image = readImage('mxm-secretsd');
  const folder = join(temporaryFolder(t), 'etc');
  mkdirSync(join(folder, 'store'), { recursive: true });
  chmodSync(folder, 0o755);
  for (const name of ['launch.yaml', 'secrets.yaml'])
    writeFile(folder, name, readFileSync(join(ROOT, 'config/compose', name)), 0o644);
  chownSync(writeFile(folder, 'store/db_password', VALUE, 0o400), 10001, 10001);
  const socket = await memoryVolume(t, compose.volumes.socket.driver_opts.o);
  const password = await memoryVolume(t, compose.volumes.db_password.driver_opts.o);

  const daemon = startContainer(t, image, {
    mounts: [
      { from: folder, to: '/etc/mxm-secretsd' },
      { from: socket, to: '/run/mxm-secretsd', writable: true },
    ],
  });
  const [, ...healthcheck] = compose.services.secretsd.healthcheck.test;
  await until(async () => (await daemon.exec(healthcheck)).status === 0);
  const asking = {
    user: '999:999',
    entrypoint: ['/bin/sh', '-c'],
    command: compose.services.fetch.command,
    mounts: [
      { from: socket, to: '/run/mxm-secretsd' },
      { from: password, to: '/run/db', writable: true },
    ],
  };
  t.match(await runContainer(t, image, { ...asking, groups: [10001] }), { status: 0, stdout: '' });
  checkPassword(t, join(password, 'password'));
  t.equal((await runContainer(t, image, { ...asking, groups: [10001] })).status, 0, 'and again');

  const outside = ['mxm-secretsd get db_password'];
  t.equal((await runContainer(t, image, { ...asking, command: outside })).status, 69, 'not to who is not in the group');
  await daemon.kill('TERM');
  t.equal(await daemon.ended, 0);
});

t.test('the pod brings the password to where postgres reads it', { skip: images.skip }, async (t) => {
  const image = readImage('mxm-secretsd');
  const { fsGroup } = pod.spec.securityContext;
  const socket = await memoryVolume(t, `mode=2777,gid=${fsGroup}`);
  const password = await memoryVolume(t, `mode=2777,gid=${fsGroup}`);
  const places: Record<string, string> = {
    config: kubeletVolume(t, configMap.data, 0o644, fsGroup),
    store: kubeletVolume(t, { db_password: VALUE }, 0o440, fsGroup),
    socket,
    'db-password': password,
  };
  const mountsOf = (container: PodContainer): Mount[] =>
    container.volumeMounts.map(({ name, mountPath, ...rest }) => ({
      from: places[name]!,
      to: mountPath,
      writable: !('readOnly' in rest),
    }));
  const userOf = ({ securityContext: { runAsUser, runAsGroup } }: PodContainer): string => `${runAsUser}:${runAsGroup}`;

  const daemon = startContainer(t, image, { user: userOf(sidecar), groups: [fsGroup], mounts: mountsOf(sidecar) });
  await until(async () => (await daemon.exec(sidecar.startupProbe.exec.command)).status === 0);
  const ran = await runContainer(t, image, {
    user: userOf(fetch),
    groups: [fsGroup],
    entrypoint: fetch.command,
    command: fetch.args,
    mounts: mountsOf(fetch),
  });
  t.equal(ran.status, 0);
  checkPassword(t, join(password, 'password'));
  await daemon.kill('TERM');
  t.equal(await daemon.ended, 0);
});

function checkPassword(t: Test, file: string): void {
  t.equal(readFileSync(file, 'utf8'), VALUE, 'the very bytes');
  const { uid, mode } = statSync(file);
  t.same([uid, mode & 0o777], [999, 0o600], 'for postgres alone');
}

/** A ConfigMap or Secret as the kubelet mounts it: links to a folder that is changed as a whole, the top open to all. */
function kubeletVolume(t: Test, files: Readonly<Record<string, string>>, mode: number, gid: number): string {
  const volume = join(temporaryFolder(t), 'v');
  const version = join(volume, '..2026_01_02');
  mkdirSync(version, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    chownSync(writeFile(version, name, text, mode), 0, gid);
    symlinkSync(join('..data', name), join(volume, name));
  }
  symlinkSync('..2026_01_02', join(volume, '..data'));
  chownSync(version, 0, gid);
  chmodSync(version, 0o2755);
  chmodSync(volume, 0o777);
  return volume;
}
