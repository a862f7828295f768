import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Ending, temporaryFolder } from './temporary.js';

/** Both ends of a connection to a Unix socket. */
export async function connectedPair(t: Ending): Promise<{ client: Socket; server: Socket; path: string }> {
  const path = join(temporaryFolder(t), 's.sock');
  const listener = createServer({ allowHalfOpen: true }).listen(path);
  await once(listener, 'listening');
  const client = connect(path);
  const [[server]] = (await Promise.all([once(listener, 'connection'), once(client, 'connect')])) as [
    [Socket],
    unknown,
  ];
  listener.close();
  for (const end of [client, server]) {
    end.on('error', () => undefined);
    t.teardown(() => end.destroy());
  }
  return { client, server, path };
}
