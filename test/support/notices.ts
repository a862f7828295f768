import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { realPython } from './python_peer.js';
import type { Ending } from './temporary.js';

const SCRIPT = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace("@", "\\0", 1))
print("ready", flush=True)
while True: print(json.dumps(s.recv(65536).decode()), flush=True)
`;

/** What arrives at a datagram socket, which Node does not have: a message an item. */
export async function listenForNotices(t: Ending, name: string): Promise<readonly string[]> {
  const child = spawn(realPython().file, ['-c', SCRIPT, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  const lines = createInterface({ input: child.stdout });
  await once(lines, 'line');
  const messages: string[] = [];
  lines.on('line', (line) => messages.push(JSON.parse(line) as string));
  return messages;
}
