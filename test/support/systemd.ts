import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './markdown.js';
import { realComponent, type RealComponent } from './real_component.js';
import { type Ending, temporaryFolder } from './temporary.js';
import { until } from './until.js';

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What is made, installed or git's. */
const NOT_SOURCES = new Set(['node_modules', 'dist', 'run', 'coverage', '.git', '.tap', '.ci']);

const SCRIPT = fileURLToPath(new URL('systemd-in-namespaces', import.meta.url));

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A machine with a systemd of its own, over the files of this one. */
export interface Machine {
  /** Runs a program there to its end. Whatever its status, that is the caller's to look at. */
  run(...command: readonly string[]): Promise<Ran>;
  /** The same of what must succeed; gives its stdout. */
  must(...command: readonly string[]): Promise<string>;
  /** Starts a program there that ends with the test. */
  start(...command: readonly string[]): void;
  /** Where a file of that machine is seen from here. */
  file(path: string): string;
  /** One property of a unit, as `systemctl show` gives it. */
  property(unit: string, name: string): Promise<string>;
  /** What a unit has written to the journal, and what systemd has written of it. */
  journal(unit: string): Promise<string>;
}

/** What it takes to boot one: systemd, and root in namespaces. */
export function realSystemd(): RealComponent {
  const systemd = '/lib/systemd/systemd';
  const reason = (): string => {
    if (!existsSync(systemd)) return '';
    if (process.getuid?.() !== 0) return ' for anybody but root';
    const options = ['--mount', '--pid', '--fork', '--uts', '--ipc', '--net', '--cgroup', '--propagation', 'private'];
    return spawnSync('unshare', [...options, 'true']).status === 0 ? 'there' : ' in namespaces of its own';
  };
  const found = reason();
  return realComponent(`systemd${found === 'there' ? '' : found}`, found === 'there' ? systemd : undefined);
}

/** A folder for `bootSystemd` with Node, and in /opt/mxm-secretsd the package as `systemd/install` makes it of a clone. */
export function filesWithProgram(t: Ending): string {
  const folder = temporaryFolder(t);
  const clone = join(folder, 'clone');
  cpSync(ROOT, clone, { recursive: true, filter: (source) => !NOT_SOURCES.has(basename(source)) });
  symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
  const installed = join(folder, 'installed');
  execFileSync(join(clone, 'systemd/install'), [], {
    env: { ...process.env, NODE_OPTIONS: '', DESTDIR: installed },
    stdio: 'pipe',
  });

  const files = join(folder, 'files');
  for (const place of ['opt', 'usr/local/bin', 'etc/mxm-secretsd', 'etc/systemd/system']) {
    mkdirSync(join(files, place), { recursive: true });
  }
  renameSync(join(installed, 'usr/local/lib/mxm-secretsd'), join(files, 'opt/mxm-secretsd'));
  copyFileSync(process.execPath, join(files, 'usr/local/bin/node'));
  return files;
}

/** Boots it, with what lies in `files` put over the files of this machine. Gone when the test is. */
export async function bootSystemd(t: Ending, files: string): Promise<Machine> {
  const folder = temporaryFolder(t);
  // It ends when its stdin does, even if this process is killed.
  const outside = spawn(SCRIPT, [folder, files], { stdio: ['pipe', 'ignore', 'pipe'] });
  let complaints = '';
  outside.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString('latin1')));
  const ended = once(outside, 'close');
  t.teardown(async () => {
    outside.stdin.end();
    await ended;
  });
  const pidFile = join(folder, 'pid');
  const pid = await until(() => {
    if (outside.exitCode !== null) throw new Error(`systemd does not boot: ${complaints}`);
    // It is there for a moment before the number is in it.
    return existsSync(pidFile) && /^\d+(?=\n)/.exec(readFileSync(pidFile, 'latin1'))?.[0];
  });
  const inside = (command: readonly string[]): string[] => ['-t', pid, '--all', 'env', '-i', PATH, ...command];

  function run(...command: readonly string[]): Promise<Ran> {
    return new Promise((resolve) => {
      const child = execFile('nsenter', inside(command), { encoding: 'latin1', maxBuffer: 1 << 28 }, (_, out, err) => {
        resolve({ status: child.exitCode ?? -1, stdout: out, stderr: err });
      });
      child.stdin?.end();
    });
  }

  async function must(...command: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await run(...command);
    if (status !== 0) throw new Error(`${command.join(' ')}: ${status}\n${stdout}${stderr}`);
    return stdout;
  }

  const machine: Machine = {
    run,
    must,
    start(...command) {
      const child = spawn('nsenter', inside(command), { stdio: 'ignore' });
      const over = once(child, 'close');
      t.teardown(async () => {
        child.kill('SIGKILL');
        await over;
      });
    },
    file: (path) => `/proc/${pid}/root${path}`,
    property: async (unit, name) => (await must('systemctl', 'show', '--value', '-p', name, unit)).trim(),
    async journal(unit) {
      await must('journalctl', '--sync');
      return must('journalctl', '--no-pager', '--output=cat', '--unit', unit);
    },
  };
  // Until its bus is there nobody can be asked.
  for (let isUp = false; !isUp;)
    isUp = /^(?:running|degraded)/.test((await run('systemctl', 'is-system-running', '--wait')).stdout);
  return machine;
}
