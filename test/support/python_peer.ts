import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { realComponent, onPath, type RealComponent } from './real_component.js';
import type { Ending } from './temporary.js';

/** Node can neither give its end of a connection a name, nor be another user for one connection. */
export function realPython(): RealComponent {
  return realComponent('python3', onPath('python3'));
}

export interface PeerOptions {
  /** The name of its own end: an abstract one begins with `@`. */
  readonly name?: string;
  /** User, group and supplementary groups; only root can be another. */
  readonly as?: { readonly uid: number; readonly gid: number; readonly groups?: readonly number[] };
  /** Shuts its writing half down before it reads, as systemd does. */
  readonly shutDown?: boolean;
  /** What it sends first. */
  readonly sends?: string;
}

const SCRIPT = `
import json, os, socket, sys
path, options = sys.argv[1], json.loads(sys.argv[2])
who = options.get("as")
if who:
    os.setgroups(who.get("groups", []))
    os.setresgid(who["gid"], who["gid"], who["gid"])
    os.setresuid(who["uid"], who["uid"], who["uid"])
peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
if options.get("name"):
    peer.bind(options["name"].replace("@", "\\0", 1))
peer.connect(path)
try:
    peer.sendall(options.get("sends", "").encode("latin1"))
    if options.get("shutDown"):
        peer.shutdown(socket.SHUT_WR)
except OSError:
    pass # closed already
print("connected", flush=True)
sys.stdin.readline()
received = b""
while True:
    part = peer.recv(65536)
    if not part:
        break
    received += part
sys.stdout.buffer.write(received)
`;

export interface PythonPeer {
  readonly pid: number;
  /** All that comes until the other end closes. */
  received(): Promise<Buffer>;
}

/** A process of its own that connects to a Unix socket. */
export async function connectPeer(t: Ending, path: string, options: PeerOptions = {}): Promise<PythonPeer> {
  const child = spawn(realPython().file, ['-c', SCRIPT, path, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  const lines = createInterface({ input: child.stdout });
  const [first] = (await once(lines, 'line')) as [string];
  if (first !== 'connected') throw new Error(first);
  lines.close();
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk)).resume();
  return {
    pid: child.pid ?? 0,
    async received() {
      child.stdin.end('\n');
      await closed;
      return Buffer.concat(chunks);
    },
  };
}
