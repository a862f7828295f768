import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { CANARY, fakeGopass, FAULTS } from './support/fake_gopass.js';
import { type Answer, ask } from './support/http_client.js';
import { runProgram, startDaemonProcess } from './support/process.js';
import { openRaw, requestText, splitAnswers } from './support/raw_connection.js';
import type { Ending } from './support/temporary.js';
import { until } from './support/until.js';

/** A secret that the daemon has in its environment, for an `env` store. */
const SECOND_CANARY = 'canary-of-the-environment-93ac';

const PRINT_CANARY = `printf '%s%s\\n' ${CANARY.slice(0, 8)} ${CANARY.slice(8)}`;

/** The canaries as they are, and as somebody's encoding may show them. */
const TRACES = [CANARY, SECOND_CANARY].flatMap((canary) => [
  canary,
  Buffer.from(canary).toString('hex'),
  // Wherever it stands in what was encoded.
  ...[0, 1, 2].map((offset) =>
    Buffer.from(`${'.'.repeat(offset)}${canary}`)
      .toString('base64')
      .slice(4, -4),
  ),
]);

function tracesIn(text: string): string[] {
  return TRACES.filter((trace) => text.includes(trace));
}

/** Looks at the arguments of every process of the machine until it is told to stop; gives those with a canary. */
function watchArguments(t: Ending): () => string[] {
  const found = new Set<string>();
  const look = (): void => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const line = readIfThere(`/proc/${pid}/cmdline`);
      // `yes` is how a fake prints without an end.
      if (tracesIn(line).length > 0 && !line.startsWith('yes\0')) found.add(line.replaceAll('\0', ' '));
    }
  };
  const timer = setInterval(look, 20);
  t.teardown(() => clearInterval(timer));
  return () => {
    look();
    clearInterval(timer);
    return [...found];
  };
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // it has ended
  }
}

function headOf({ status, headers }: Answer): string {
  return JSON.stringify([status, headers]);
}

t.test('a secret is in the body of a good answer and nowhere else, whatever gopass does', async (t) => {
  const faults = Object.entries(FAULTS).map(([what, fault], index) => ({ what, fault, name: `fault_${index}` }));
  const good = fakeGopass(t, PRINT_CANARY);
  const waits = `note $$; until [ -e "$0.released" ]; do sleep 0.02; done; ${PRINT_CANARY}`;
  const slow = fakeGopass(t, `case "$1" in show) ${waits} ;; esac`);
  const programs = new Map([
    ['good', good],
    ['slow', slow],
    ...faults.map(({ name, fault }) => [name, fakeGopass(t, fault.script)] as const),
  ]);
  const daemon = await startDaemonProcess(t, {
    secrets: `
stores:
  local: { backend: env, root: mxm/test }
${[...programs].map(([name, { file }]) => `  ${name}: { backend: gopass, root: mxm, binary: ${file} }`).join('\n')}
refs:
  local: { store: local, path: canary, policy: open }
  guarded: { store: local, path: canary, policy: nobody }
${[...programs.keys()].map((name) => `  ${name}: { store: ${name}, path: x, policy: open }`).join('\n')}
policies:
  open: { allowed_principals: [marketdata] }
  nobody: { allowed_principals: [] }
`,
    launch: `
log: { level: trace }
limits: { backend_concurrency: 16, backend_timeout_ms: 3000, max_value_bytes: 65536 }
`,
    env: { MXM_TEST_CANARY: SECOND_CANARY },
  });
  const argumentsWithCanary = watchArguments(t);

  await t.test('every fault', async (t) => {
    await Promise.all(
      faults.map(async ({ what, fault, name }) => {
        const answer = await ask(daemon.socket, `/secrets/${name}`);
        // On a busy machine each of them may take too long.
        t.ok([fault.code, 'backend_timeout'].includes(String(answer.json['code'])), what);
        t.same(tracesIn(headOf(answer) + answer.text), [], what);
      }),
    );
  });

  await t.test('a good answer', async (t) => {
    for (const [name, canary] of [['good', CANARY] as const, ['local', SECOND_CANARY] as const]) {
      for (const accept of ['application/json', 'text/plain', 'application/octet-stream']) {
        const answer = await ask(daemon.socket, `/secrets/${name}`, { headers: { Accept: accept } });
        t.equal(answer.status, 200);
        t.match(answer.text, canary);
        t.same(tracesIn(headOf(answer)), []);
      }
    }
  });

  await t.test('the other answers of the same secrets', async (t) => {
    const questions: Parameters<typeof ask>[] = [
      [daemon.socket, '/secrets/guarded'],
      [daemon.socket, '/secrets/good', { method: 'HEAD' }],
      [daemon.socket, '/secrets/good', { method: 'POST', body: 'x' }],
      [daemon.socket, '/secrets/good', { headers: { Accept: 'image/png' } }],
      [daemon.socket, '/secrets/good?x'],
      [daemon.socket, '/secrets'],
      [daemon.socket, '/identity'],
      [daemon.socket, '/readyz'],
    ];
    for (const question of questions) {
      const answer = await ask(...question);
      t.same(tracesIn(headOf(answer) + answer.text), [], `${question[2]?.method ?? 'GET'} ${question[1]}`);
    }
  });

  await t.test('callers that leave or close their half', async (t) => {
    const leaving = await openRaw(t, daemon.socket);
    leaving.send(requestText('GET /secrets/slow'));
    await slow.noted(1);
    leaving.socket.destroy();
    await until(() => daemon.audit().some(({ outcome }) => outcome === 'cancelled'));

    const early = await openRaw(t, daemon.socket);
    early.send(requestText('GET /secrets/good'));
    early.socket.destroy();

    const halfClosing = await openRaw(t, daemon.socket);
    halfClosing.socket.end(requestText('GET /secrets/good') + requestText('GET /secrets/guarded'));
    for (const { status, headers, body } of splitAnswers(await halfClosing.closed())) {
      t.same(tracesIn(JSON.stringify([...headers]) + (status === 200 ? '' : body)), [], String(status));
    }
  });

  await t.test('a backend gets nothing of the environment', async (t) => {
    const asking = ask(daemon.socket, '/secrets/slow');
    const [, pid] = await slow.noted(2);
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    t.match(environment, 'GOPASS_GPG_OPTS=');
    t.same(tracesIn(environment), []);
    writeFileSync(`${slow.file}.released`, '');
    t.match((await asking).text, CANARY);
  });

  await t.test('the command line', async (t) => {
    const got = await runProgram(['get', 'good', '--socket', daemon.socket]);
    t.match(got, { status: 0, stderr: '' });
    t.equal(got.stdout.toString(), CANARY);
    const failed = await runProgram(['get', faults.at(-1)!.name, '--socket', daemon.socket]);
    t.ok([69, 75].includes(failed.status ?? 0));
    t.same(tracesIn(failed.stdout.toString('latin1') + failed.stderr), []);
    const checked = await runProgram(['check', '--launch', daemon.launchFile], {
      env: { MXM_TEST_CANARY: SECOND_CANARY },
    });
    t.same(tracesIn(checked.stdout.toString('latin1') + checked.stderr), []);
  });

  t.same(await daemon.stop(), { status: 0, signal: null });
  t.ok(daemon.audit().length > faults.length);
  t.same(tracesIn(daemon.stdout()), [], 'in the log');
  t.equal(daemon.stderr(), '');
  t.same(argumentsWithCanary(), [], 'among the arguments of a process');
});
