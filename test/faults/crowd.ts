// Holds connections to a socket: `crowd.ts SOCKET COUNT`. Each asks once; what came back is told as a line of JSON. They
// stay open until the input ends.
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const [path = '', count = '0'] = process.argv.slice(2);

/** As many as a listening socket lets wait. */
const AT_ONCE = 100;

const REQUEST = 'GET /secrets/local HTTP/1.1\r\nHost: localhost\r\n\r\n';

const tally: Record<string, number> = {};
const held: Socket[] = [];

/** Connects, asks, and keeps the connection if the daemon does. */
async function join(): Promise<void> {
  for (;;) {
    const what = await new Promise<string>((resolve) => {
      const socket = connect(path);
      held.push(socket);
      let received = '';
      socket.once('connect', () => socket.write(REQUEST));
      socket.once('error', ({ code = '' }: NodeJS.ErrnoException) => resolve(code === 'EAGAIN' ? 'again' : 'closed'));
      socket.once('close', () => resolve('closed'));
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        if (!received.endsWith('}')) return;
        const code = /"code":"(\w+)"/.exec(received)?.[1] ?? 'ok';
        resolve(`${received.split(' ')[1]} ${code}`);
      });
    });
    if (what !== 'again') {
      tally[what] = (tally[what] ?? 0) + 1;
      return;
    }
    await sleep(10);
  }
}

let left = Number(count);
async function work(): Promise<void> {
  while (left > 0) {
    left -= 1;
    await join();
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work));
console.log(JSON.stringify(tally));
process.stdin.resume().once('end', () => {
  for (const socket of held) socket.destroy();
});
