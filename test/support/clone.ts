import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './markdown.js';
import { copyBuilt } from './process.js';
import { onPath, realComponent, type RealComponent, realGopass } from './real_component.js';
import { type Ending, temporaryFolder, writeFile } from './temporary.js';

/** What a clone is made with. */
export function realGit(): RealComponent {
  return realComponent('git with a clone', existsSync(join(ROOT, '.git')) ? onPath('git') : undefined);
}

/** Makes a program believe that it writes to a terminal, as its reader does. */
const ON_A_TERMINAL = `import tty from 'node:tty';
import { syncBuiltinESMExports } from 'node:module';
tty.isatty = () => true;
syncBuiltinESMExports();
`;

/** What a clone would hold if all that is not ignored were committed, with the dependencies of this one. */
export function cloneOf(t: Ending): string {
  const copy = join(temporaryFolder(t), 'c');
  const listed = execFileSync(realGit().file, ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  for (const file of listed.split('\0')) {
    if (file === '' || !existsSync(join(ROOT, file))) continue;
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(ROOT, file), join(copy, file));
  }
  chmodSync(copy, 0o755);
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

let built: string | undefined;

/** One for all tests that need the program built and nothing else; gone when `t`, the first that asks, has ended. */
export function builtClone(t: Ending): string {
  if (built === undefined) {
    built = cloneOf(t);
    copyBuilt(built);
  }
  return built;
}

/** A user's environment: nothing of the test runner's, a silent curl, and `mxm-secretsd` on the PATH. */
export function userEnvironment(
  t: Ending,
  copy: string,
  variables: Record<string, string> = {},
): Record<string, string> {
  const folder = temporaryFolder(t);
  writeFile(folder, '.curlrc', 'silent\n');
  const terminal = writeFile(folder, 'terminal.mjs', ON_A_TERMINAL);
  const program = `exec '${process.execPath}' --import '${terminal}' '${copy}/dist/main.js' "$@"`;
  writeFile(folder, 'mxm-secretsd', `#!/bin/sh\n${program}\n`, 0o700);
  const gopass = realGopass();
  if (gopass.file !== '') symlinkSync(gopass.file, join(folder, 'gopass'));
  const PATH = [folder, dirname(process.execPath), process.env['PATH'] ?? ''].join(':');
  return { PATH, HOME: folder, CURL_HOME: folder, ...variables };
}

/** Runs a line as a shell does, with both outputs in one, as on a terminal. */
export function runLine(
  command: string,
  cwd: string,
  env: Record<string, string>,
): { status: number | null; output: string } {
  const ran = spawnSync('sh', ['-c', `exec 2>&1; ${command}`], {
    cwd,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { status: ran.status, output: ran.stdout.replace(/\n$/, '') };
}
