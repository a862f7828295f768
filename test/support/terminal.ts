import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { onPath, type RealComponent, realComponent } from './real_component.js';
import type { Ending } from './temporary.js';
import { until } from './until.js';

/** util-linux's script, which runs a command on a terminal of its own. */
export function realScript(): RealComponent {
  const file = onPath('script');
  const works = file !== undefined && spawnSync(file, ['-qec', 'true', '/dev/null'], { stdio: 'ignore' }).status === 0;
  return realComponent('script of util-linux', works ? file : undefined);
}

export interface Terminal {
  /** Types; `\x03` is Ctrl-C. */
  type(keys: string): void;
  /** All that it has shown so far, with plain line endings. */
  shown(): string;
  /** Waits until it has shown something; gives the match. */
  shows(pattern: RegExp): Promise<RegExpExecArray>;
  /** Waits for anything, as long as something runs on it. */
  until(look: () => boolean): Promise<void>;
  /** As if its window was closed. */
  hangUp(): void;
  /** The exit status of what runs on it, as a shell tells it. */
  readonly status: Promise<number | null>;
}

/** Runs a command on a terminal. */
export function onTerminal(t: Ending, command: readonly string[], env: Record<string, string> = {}): Terminal {
  const line = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  const child = spawn(onPath('script')!, ['-qec', `exec ${line}`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, SHELL: '/bin/sh', TERM: 'dumb', ...env },
  });
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString('utf8').replaceAll('\r', '')));
  child.stdin.on('error', () => undefined);
  const ended = once(child, 'close');
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended;
  });
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    type: (keys) => void child.stdin.write(keys),
    shown: () => shown,
    async shows(pattern) {
      const over = isOver(); // what it has shown last comes before its end
      const found = await until(() => pattern.exec(shown) ?? (over || isOver() ? null : undefined));
      const match = found ?? pattern.exec(shown);
      if (match === null) throw new Error(`${String(pattern)} was not shown: ${shown}`);
      return match;
    },
    async until(look) {
      if (!(await until(() => look() || (isOver() ? null : undefined)))) throw new Error(`it has ended: ${shown}`);
    },
    hangUp: () => void child.kill('SIGKILL'),
    status: ended.then(([status]) => status as number | null),
  };
}
