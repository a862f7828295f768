import { execFileSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { LOCAL_FILE_SYSTEMS } from '../src/os/file_system.js';
import { VERSION } from '../src/version.js';
import { onPath, realGopass } from '../test/support/real_component.js';

/** What a page of figures is measured on, by what it is called. */
export function machine(): Record<string, string> {
  const versions = [
    ['gopass', realGopass().file],
    ['gpg', onPath('gpg')],
    ['age', onPath('age')],
    ['python3', onPath('python3')],
  ] as const;
  return {
    date: new Date().toISOString().slice(0, 10),
    'mxm-secretsd': VERSION,
    Node: process.version,
    Fastify: versionOfPackage('fastify'),
    'age-encryption': versionOfPackage('age-encryption'),
    ...Object.fromEntries(
      versions.flatMap(([name, file]) => (file === undefined || file === '' ? [] : [[name, versionOf(file)]])),
    ),
    kernel: `${process.platform} ${release()}`,
    machine: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 1024 ** 3)} GiB`,
    'load average before': loadavg()
      .map((load) => load.toFixed(1))
      .join(', '),
  };
}

/** Follows the share of processor time that other machines on the same hardware take of this one, in percent. */
export function watchSteal(): () => number {
  const before = processorTicks();
  return () => {
    const now = processorTicks();
    return (100 * (now.stolen - before.stolen)) / (now.all - before.all);
  };
}

function processorTicks(): { readonly stolen: number; readonly all: number } {
  const [line = ''] = readFileSync('/proc/stat', 'latin1').split('\n');
  // user, nice, system, idle, iowait, irq, softirq, steal; what follows is in user already.
  const ticks = line.split(/ +/).slice(1, 9).map(Number);
  return { stolen: ticks[7] ?? 0, all: ticks.reduce((sum, count) => sum + count, 0) };
}

/** What the audit records of the benches are written to. */
export function fileSystem(): string {
  const { type } = statfsSync(tmpdir());
  return LOCAL_FILE_SYSTEMS.get(type) ?? `file system 0x${type.toString(16)}`;
}

/** An installed package of this project. */
export function versionOfPackage(name: string): string {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

export function versionOf(file: string): string {
  return execFileSync(file, ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
}
