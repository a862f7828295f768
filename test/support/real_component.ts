import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A program that some tests need and that not every machine has. */
export interface RealComponent {
  /** Absolute; empty where it is absent, and then the tests that need it are skipped. */
  readonly file: string;
  /** For tap's `skip`: the reason, or false. */
  readonly skip: string | false;
}

/** Absent on a user's machine: skip, and say why. Absent where CI is set: fail, as nothing would be tested there. */
export function realComponent(name: string, file: string | undefined, hint = ''): RealComponent {
  if (file !== undefined) return { file, skip: false };
  const reason = `${name} is not there${hint}`;
  if ((process.env['CI'] ?? '') !== '') throw new Error(reason);
  return { file: '', skip: reason };
}

/** What tap's `skip` gets where a test needs several. */
export function skipWithout(...components: readonly RealComponent[]): string | false {
  return components.map(({ skip }) => skip).find((skip) => skip !== false) ?? false;
}

export function onPath(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** gopasspw's gopass: named by MXM_TEST_GOPASS, or of PATH. Debian's package of that name is another program. */
export function realGopass(): RealComponent {
  const file = process.env['MXM_TEST_GOPASS'] ?? onPath('gopass');
  const version = file === undefined ? '' : spawnSync(file, ['--version'], { encoding: 'latin1' }).stdout;
  const isReal = /^gopass \d+\.\d+\./.test(version);
  return realComponent('gopasspw gopass', isReal ? file : undefined, ': name it with MXM_TEST_GOPASS');
}

export function realGpg(): RealComponent {
  return realComponent('gpg', onPath('gpg'));
}

/** With its age-keygen. */
export function realAge(): RealComponent {
  return realComponent('age', onPath('age-keygen') && onPath('age'));
}

/** Makes certificates. */
export function openssl(): RealComponent {
  return realComponent('openssl', onPath('openssl'));
}

/** Not every container lets a program be traced. */
export function realStrace(): RealComponent {
  const file = onPath('strace');
  const traces = file !== undefined && spawnSync(file, ['-o', '/dev/null', 'true']).status === 0;
  return realComponent('strace that may trace', traces ? file : undefined);
}

/** What makes a command run as root: nothing where we are, `sudo` where it asks for no password. */
export function asRoot(): readonly string[] | undefined {
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}

export function realRoot(): RealComponent {
  return realComponent('root, or sudo without a password', asRoot() && '/');
}

/** The library of Debian's package libfaketime that jumps the clock of a process. */
export function realFaketime(): RealComponent {
  const folders = ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/faketime`);
  const file = folders.map((folder) => join(folder, 'libfaketimeMT.so.1')).find((path) => existsSync(path));
  return realComponent('libfaketime', file);
}
