import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PROGRAM, type RunOptions } from './process.js';
import { realPython } from './python_peer.js';
import { socketIn } from './scripted_server.js';
import { type Ending, temporaryFolder } from './temporary.js';

/** A listening socket to be given away. What connects while this process turns is accepted here, too. */
export async function listeningFd(t: Ending, path = socketIn(t)): Promise<number> {
  const server = createServer().listen({ path, exclusive: true });
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

/** How a program gets sockets as systemd gives them: from the third descriptor on, meant for it alone. */
export function inheriting(fds: readonly number[], options: RunOptions = {}): RunOptions {
  const { under = [], env = {} } = options;
  const variables = { LISTEN_FDS: String(fds.length), ...env };
  return { ...options, env: variables, inherited: fds, under: [...under, 'sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh'] };
}

const ACTIVATOR = `
import os, select, socket, sys
path, log, command = sys.argv[1], sys.argv[2], sys.argv[3:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path)
listener.listen(4096)
print("listening", flush=True)
while True:
    select.select([listener], [], [])
    child = os.fork()
    if child == 0:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ["LISTEN_PID"] = str(os.getpid())
        os.environ["LISTEN_FDS"] = "1"
        os.execvp(command[0], command)
    print("started %d" % child, flush=True)
    print("ended %d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
`;

export interface Activator {
  /** Of the one that holds the socket. */
  readonly pid: number;
  readonly socket: string;
  /** `started PID` and `ended STATUS`, as often as it happened. */
  readonly events: readonly string[];
  /** All that the daemons have written. */
  log(): string;
}

/** Holds a socket and starts a daemon when somebody connects, again and again, as systemd does. */
export async function activate(
  t: Ending,
  launchFile: string,
  env: Record<string, string> = {},
  program: readonly string[] = PROGRAM,
): Promise<Activator> {
  const folder = temporaryFolder(t);
  const socket = join(folder, 's.sock');
  const log = join(folder, 'log');
  const command = [...program, 'serve', '--launch', launchFile];
  const child = spawn(realPython().file, ['-c', ACTIVATOR, socket, log, ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const closed = once(child, 'close');
  const events: string[] = [];
  const lines = createInterface({ input: child.stdout });
  t.teardown(async () => {
    child.kill('SIGKILL');
    const last = events.at(-1) ?? '';
    if (last.startsWith('started ')) process.kill(Number(last.slice('started '.length)), 'SIGTERM');
    await closed;
  });
  await once(lines, 'line');
  lines.on('line', (line) => events.push(line));
  return { pid: child.pid ?? 0, socket, events, log: () => (existsSync(log) ? readFileSync(log, 'utf8') : '') };
}
