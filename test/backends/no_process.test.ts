import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fakeGopass } from '../support/fake_gopass.js';
import { ask } from '../support/http_client.js';
import { startDaemonProcess } from '../support/process.js';
import { realStrace } from '../support/real_component.js';
import { temporaryFolder } from '../support/temporary.js';
import { until } from '../support/until.js';

const { file: strace, skip } = realStrace();

/** System calls that start a process, or open a file or a socket. */
const REACHING_OUT = new Set([
  ...['execve', 'execveat', 'fork', 'vfork', 'clone', 'clone3'],
  ...['open', 'openat', 'openat2', 'creat', 'socket', 'socketpair', 'connect'],
]);

/** Those by which a request comes and its answer goes. */
const TALKING = ['read', 'recvfrom', 'recvmsg', 'write', 'writev', 'sendto', 'sendmsg'];

function reachesOut(line: string): boolean {
  const [, resumed, name] = /^\d+ +(<\.\.\. )?(\w+)/.exec(line) ?? [];
  if (name === undefined || !REACHING_OUT.has(name)) return false;
  // A thread of Node's pool is no process. The second half of a line that was interrupted does not show what it is.
  return !(name.startsWith('clone') && (resumed !== undefined || line.includes('CLONE_THREAD')));
}

t.test(
  'a denied, unknown or invalid name starts no process and opens nothing; an allowed one starts gopass',
  { skip },
  async (t) => {
    const gopass = fakeGopass(t, 'echo value');
    const trace = join(temporaryFolder(t), 'trace');
    const calls = [...REACHING_OUT, ...TALKING].map((name) => `?${name}`).join(',');
    const daemon = await startDaemonProcess(t, {
      // -D: the tracer is no parent of the daemon, who so gets the signals that are sent to it.
      under: [strace, '-D', '-f', '-s', '80', '-o', trace, '-e', `trace=${calls}`, '-e', 'signal=none'],
      secrets: `
stores:
  red: { backend: gopass, root: mxm/red, binary: ${gopass.file} }
refs:
  open_key: { store: red, path: open, policy: open }
  closed_key: { store: red, path: closed, policy: closed }
policies:
  open: { allowed_principals: [marketdata] }
  closed: { allowed_principals: [research] }
`,
    });
    const refused: [string, number][] = [
      ['closed_key', 403],
      ['unknown_key', 404],
      ['constructor', 404],
      ['Invalid', 400],
      ['..%2Fopen_key', 400],
      ['-n', 400],
      ['%00', 400],
    ];
    // The next request is the fence: what a refused one had started late would show before it.
    const requests = [
      ...refused.flatMap(([name]) => [`/secrets/${name}`, '/healthz']),
      '/secrets/open_key',
      '/healthz',
    ];
    // What a thread of Node does once, when it is first used, belongs to no request: its libc counts the processors.
    for (let count = 0; count < 50; count += 1) await ask(daemon.socket, '/healthz');
    // Nor does what the daemon does once when it has started.
    await until(() => readFileSync(trace, 'latin1').includes('/proc/self/smaps'));
    const statuses: number[] = [];
    for (const path of requests) statuses.push((await ask(daemon.socket, path)).status);
    t.same(statuses, [...refused.flatMap(([, status]) => [status, 200]), 200, 200]);
    await daemon.stop();

    const lines = readFileSync(trace, 'latin1').split('\n');
    let at = lines.findIndex((line) => line.includes(`"GET ${requests[0]!} `));
    const reached = requests.map((_, index) => {
      const next = requests[index + 1];
      const end = next === undefined ? at : lines.findIndex((line, i) => i > at && line.includes(`"GET ${next} `));
      const between = lines.slice(at, end);
      at = end;
      return between;
    });
    for (const [index, path] of requests.slice(0, -2).entries()) {
      t.match(reached[index]!.join('\n'), `"HTTP/1.1 ${statuses[index]!} `, `${path} was answered within these calls`);
      t.same(reached[index]!.filter(reachesOut), [], path);
    }
    const allowed = reached.at(-2)!.filter(reachesOut);
    t.match(allowed.join('\n'), `execve("${gopass.file}", ["${gopass.file}", "show"`);
  },
);
