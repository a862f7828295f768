import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onPath, realComponent, type RealComponent } from './real_component.js';
import { type Ending, temporaryFolder, writeFile } from './temporary.js';

/** What `.ci/container` has made of a target of the Dockerfile. */
export interface Image {
  /** The folder that holds the files of the image. */
  readonly files: string;
  readonly config: ImageConfig;
}

/** What a container engine is told by an image. */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly StopSignal: string;
  readonly Healthcheck: { readonly Test: readonly string[] };
  readonly Labels: Readonly<Record<string, string>>;
  readonly WorkingDir: string;
}

/** The folder of `.ci/container`, where there is something to run its images with. */
export function realImages(): RealComponent {
  const folder = process.env['MXM_TEST_IMAGES'];
  const runs = process.getuid?.() === 0 && onPath('crun') !== undefined;
  return realComponent(
    'an image to run as root with crun',
    runs ? folder : undefined,
    ': name it with MXM_TEST_IMAGES',
  );
}

export function readImage(target: string): Image {
  const folder = join(realImages().file, target);
  const { Docker } = JSON.parse(readFileSync(join(folder, 'image.json'), 'utf8')) as {
    Docker: { config: ImageConfig };
  };
  return { files: join(folder, 'files'), config: Docker.config };
}

/** crun, for `unshare`: it does not start where cgroups are mounted in both versions, so it sees one of them only. */
const CRUN = ['--mount', 'sh', '-c', 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec crun "$@"', 'crun'];

export interface Mount {
  readonly from: string;
  readonly to: string;
  readonly writable?: boolean;
}

export interface ContainerOptions {
  /** In place of the image's. */
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  /** `UID:GID` */
  readonly user?: string;
  readonly groups?: readonly number[];
  readonly env?: readonly string[];
  readonly mounts?: readonly Mount[];
}

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A container as the examples want it: no root, no capability and none to be had, all files read-only but the mounts,
 * no network.
 */
export interface Container {
  /** Runs a program in it to its end, as its user unless another is named. */
  exec(command: readonly string[], user?: string): Promise<Ran>;
  stdout(): string;
  /** Sends a signal to its process 1. */
  kill(signal: string): Promise<void>;
  readonly ended: Promise<number>;
}

export function startContainer(t: Ending, image: Image, options: ContainerOptions = {}): Container {
  const bundle = temporaryFolder(t);
  const id = `mxm-${randomBytes(8).toString('hex')}`;
  const crun = [...CRUN, '--root', join(bundle, 'state'), '--cgroup-manager', 'disabled'];
  writeFile(bundle, 'config.json', JSON.stringify(runtimeConfig(image, options)));

  const child = spawn('unshare', [...crun, 'run', '--bundle', bundle, id], { stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  const ended = once(child, 'close').then(([status]) => Number(status));
  t.teardown(async () => {
    if (child.exitCode === null) await run('unshare', [...crun, 'kill', id, 'KILL']);
    await ended;
  });
  return {
    exec: (command, user = options.user ?? image.config.User) =>
      run('unshare', [...crun, 'exec', '--user', user, id, ...command]),
    stdout: () => stdout,
    async kill(signal) {
      await run('unshare', [...crun, 'kill', id, signal]);
    },
    ended,
  };
}

/** The same to its end, of what ends by itself. */
export async function runContainer(t: Ending, image: Image, options: ContainerOptions): Promise<Ran> {
  const container = startContainer(t, image, options);
  const status = await container.ended;
  return { status, stdout: container.stdout(), stderr: '' };
}

/** The configuration of the OCI runtime specification. */
function runtimeConfig({ files, config }: Image, options: ContainerOptions): object {
  const { entrypoint = config.Entrypoint, command = config.Cmd, user = config.User, groups = [] } = options;
  const [uid, gid] = user.split(':').map(Number);
  const none = { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] };
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid, gid, additionalGids: groups },
      args: [...entrypoint, ...command],
      env: [...config.Env, ...(options.env ?? [])],
      cwd: config.WorkingDir === '' ? '/' : config.WorkingDir,
      capabilities: none,
      noNewPrivileges: true,
    },
    root: { path: files, readonly: true },
    hostname: 'container',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      ...(options.mounts ?? []).map(({ from, to, writable = false }) => ({
        destination: to,
        type: 'bind',
        source: from,
        options: ['bind', writable ? 'rw' : 'ro', 'nosuid', 'nodev', 'noexec'],
      })),
    ],
    linux: { namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type })) },
  };
}

/** A file system in memory with the options of mount(8), as a volume of several containers; gone when the test is. */
export async function memoryVolume(t: Ending, options: string): Promise<string> {
  const folder = temporaryFolder(t);
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
  if (mounted.status !== 0) throw new Error(mounted.stderr);
  t.teardown(() => run('umount', [folder]));
  return folder;
}

function run(file: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(file, args, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

export function isThere(image: Image, path: string): boolean {
  return existsSync(join(image.files, path));
}
