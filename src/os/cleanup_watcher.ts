import { spawn } from 'node:child_process';

/** Removes a folder when this process is gone without having done so, SIGKILL included. */
export interface CleanupWatcher {
  /** Lets it wait for the end of this process, too. */
  waitFor(pid: number): void;
  /** The folder is removed: it has nothing more to do. */
  end(): void;
}

/** The end of its input is the end of this process. Nobody's terminal and nobody's signals reach it. */
const SCRIPT = `
pid=
while read -r line; do pid=$line; done
while [ -n "$pid" ] && [ -e "/proc/$pid" ]; do sleep 1; done
exec rm -rf -- "$1"
`;

/** Where no shell is there, nothing watches, and the folder is removed by the next one that makes such a folder. */
export function watchFolder(folder: string, shell = '/bin/sh'): CleanupWatcher {
  const watcher = spawn(shell, ['-c', SCRIPT, 'sh', folder], {
    cwd: '/',
    detached: true,
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.on('error', () => undefined);
  watcher.stdin.on('error', () => undefined);
  watcher.unref();
  return {
    waitFor: (pid) => void watcher.stdin.write(`${pid}\n`),
    end: () => void watcher.stdin.end(),
  };
}
