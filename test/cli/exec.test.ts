import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { run } from '../../src/cli/run.js';
import type { ErrorCode } from '../../src/domain/errors.js';
import { memoryIo } from '../support/io.js';
import { type Finished, PROGRAM, runFromSources, runProgram, startProgram } from '../support/process.js';
import { onPath, realComponent } from '../support/real_component.js';
import { problemListener, respond, scriptedServer } from '../support/scripted_server.js';
import { type Ending, temporaryFolder, writeFile } from '../support/temporary.js';
import { onTerminal, realScript, type Terminal } from '../support/terminal.js';
import { until } from '../support/until.js';

const TMPFS = 0x01021994;
const CANARY = 'canary-3f9a61';
const BYTES = Buffer.from('\xff\0\n', 'latin1');

const isTmpfs = existsSync('/dev/shm') && statfsSync('/dev/shm').type === TMPFS;
const memory = realComponent('a tmpfs at /dev/shm', isTmpfs ? '/dev/shm' : undefined);
const terminal = realScript();
const python = realComponent('python3', onPath('python3'));

const VALUES: Readonly<Record<string, Buffer>> = {
  api_key: Buffer.from(CANARY),
  other: Buffer.from('two\nlines, "quoted" $HOME é'),
  bytes: BYTES,
  latin: Buffer.from('\xff', 'latin1'),
  long: Buffer.alloc(1_000_000, 'x'),
};

const REFUSALS: Readonly<Record<string, ErrorCode>> = {
  denied: 'access_denied',
  unknown: 'unknown_secret',
  locked: 'backend_locked',
};

/** A daemon that knows these names; gives the socket. */
function daemon(t: Ending, asked: string[] = []): Promise<string> {
  return scriptedServer(t, (request, response) => {
    const name = String(request.url?.slice('/secrets/'.length));
    asked.push(name);
    const value = VALUES[name];
    if (value !== undefined) respond(response, 200, 'application/octet-stream', value);
    else problemListener(REFUSALS[name] ?? 'unknown_secret')(request, response);
  });
}

/** A folder of the test's own in memory, where the files are put. */
function memoryFolder(t: Ending): string {
  const folder = mkdtempSync('/dev/shm/test-');
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function exec(
  t: Ending,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Omit<Finished, 'stdout'> & { stdout: string }> {
  const ended = await runProgram(['exec', ...args], { env: { MXM_SECRETSD_SOCKET: await daemon(t), ...env } });
  return { ...ended, stdout: ended.stdout.toString('latin1') };
}

t.test('the command gets the values in its environment, beside what is there', async (t) => {
  runFromSources(t);
  const ended = await exec(
    t,
    ['A=api_key', 'B=other', 'C=api_key', '--', 'sh', '-c', 'printf "%s|%s|%s|%s" "$A" "$B" "$C" "$D"'],
    {
      D: 'd',
    },
  );
  t.match(ended, { status: 0, stderr: '' });
  t.equal(Buffer.from(ended.stdout, 'latin1').toString(), `${CANARY}|${String(VALUES['other'])}|${CANARY}|d`);
});

t.test('a name is asked for once, whatever it is for', async (t) => {
  const asked: string[] = [];
  const env = { MXM_SECRETSD_SOCKET: await daemon(t, asked) };
  t.match(await runProgram(['exec', 'A=api_key', 'B=api_key', 'C=other', '--', 'true'], { env }), { status: 0 });
  t.same(asked.sort(), ['api_key', 'other']);
});

t.test('the arguments of the command are its own', async (t) => {
  const ended = await exec(t, ['--', 'printf', '%s|', '--', '-h', 'A=b', '', 'a b']);
  t.match(ended, { status: 0, stdout: '--|-h|A=b||a b|' });
});

t.test('the command has the input and the outputs of exec', async (t) => {
  const ended = await runProgram(['exec', '--', 'sh', '-c', 'cat; echo out; echo err >&2'], {
    env: { MXM_SECRETSD_SOCKET: await daemon(t) },
    under: ['sh', '-c', 'echo in | "$@"', 'sh'],
  });
  t.match({ ...ended, stdout: ended.stdout.toString() }, { status: 0, stdout: 'in\nout\n', stderr: 'err\n' });
});

t.test('the command has the open files that exec was started with, and none of exec or Node', async (t) => {
  const file = writeFile(temporaryFolder(t), 'file', 'text\n');
  const env = { MXM_SECRETSD_SOCKET: await daemon(t), FILE: file };
  const under = ['bash', '-c', 'exec "$@" 3>&- 4>&- 5<"$FILE" 7<&5 12< <(echo piped) 20<&5', 'bash'];
  // What measures the tests opens /dev/null.
  const list = 'ls -l /proc/self/fd | grep -v /dev/null | sed -n "s/.* \\([0-9]*\\) -> .*/\\1/p"';
  const command = ['bash', '-c', `${list}; cat <&7; cat <&12`];
  const plain = await runProgram(command, { env, under, program: ['env'] });
  const ended = await runProgram(['exec', 'A=api_key', '--', ...command], { env, under });
  t.match(plain.stdout.toString(), /\n7\ntext\npiped\n$/);
  t.match({ ...ended, stdout: ended.stdout.toString() }, { status: 0, stderr: '', stdout: plain.stdout.toString() });
});

t.test('the exit status is that of the command, or 128 and the signal that has ended it', async (t) => {
  for (const [script, status] of [
    ['exit 0', 0],
    ['exit 1', 1],
    ['exit 255', 255],
    ['kill -KILL $$', 137],
    ['kill -TERM $$', 143],
    ['kill -SEGV $$', 139],
  ] as const) {
    t.match(await exec(t, ['A=api_key', '--', 'sh', '-c', script]), { status, signal: null, stderr: '' }, script);
  }
});

t.test('a command that is not there ends with 127, one that cannot be executed with 126', async (t) => {
  const folder = temporaryFolder(t);
  const file = writeFile(folder, 'file', '#!/bin/sh\n');
  const cases: [string, number, RegExp][] = [
    ['no-such-command-anywhere', 127, /no-such-command-anywhere: there is no such command\n$/],
    [join(folder, 'gone'), 127, /gone: there is no such command\n$/],
    [join(file, 'below'), 127, /below: there is no such command\n$/],
    ['', 127, /: there is no such command\n$/],
    [file, 126, /file: cannot be executed \(EACCES\)\n$/],
    [folder, 126, /: cannot be executed \(EACCES\)\n$/],
  ];
  for (const [command, status, stderr] of cases) {
    t.match(await exec(t, ['A=api_key', '--', command]), { status, stdout: '', stderr }, command);
  }
});

t.test('when one secret cannot be had nothing is started, and its answer counts', async (t) => {
  const marker = join(temporaryFolder(t), 'started');
  for (const [name, status] of [
    ['denied', 77],
    ['unknown', 66],
    ['locked', 69],
  ] as const) {
    for (const bindings of [[`B=${name}`], ['--file', `B=${name}`]]) {
      const ended = await exec(t, ['A=api_key', ...bindings, 'C=other', '--', 'touch', marker]);
      t.match(ended, { status, stdout: '' }, name);
      t.match(ended.stderr, new RegExp(`^mxm-secretsd exec: ${name}: ${String(REFUSALS[name])}: .+\n$`));
    }
  }
  const io = memoryIo();
  t.equal(await run(['exec', '--socket', '/nonexistent/s.sock', 'A=Api-Key', '--', 'touch', marker], io), 64);
  t.match(io.errors(), /^mxm-secretsd exec: A: invalid_secret_name: .+\n$/, 'of a name that is none nobody is asked');
  t.match(await exec(t, ['A=api_key', '--', 'touch', marker], { MXM_SECRETSD_SOCKET: '/nonexistent/s.sock' }), {
    status: 69,
    stderr: /no daemon answers/,
  });
  t.notOk(existsSync(marker));
});

t.test('a final refusal ends the wait for others', async (t) => {
  const socket = await daemon(t);
  const io = memoryIo();
  t.equal(await run(['exec', '--socket', socket, '--wait', '3600', 'A=locked', 'B=denied', '--', 'true'], io), 77);
  t.match(io.errors(), /^mxm-secretsd exec: denied: access_denied: .+\n$/);
});

const NINE = Array.from({ length: 9 }, (_, index) => `V${index}=name_${index}`);

t.test('after a refusal nothing more is asked', async (t) => {
  const asked: (string | undefined)[] = [];
  const socket = await scriptedServer(t, (request, response) => {
    asked.push(request.url);
    if (asked.length === 1) problemListener('access_denied')(request, response);
    else setTimeout(() => respond(response, 200, 'application/octet-stream', 'x'), 100);
  });
  const io = memoryIo();
  t.equal(await run(['exec', '--socket', socket, ...NINE, '--', 'true'], io), 77);
  t.equal(asked.length, 4);
});

/** A daemon that gives so many values at once, and to whoever comes meanwhile none; and the codes that it has given. */
async function narrowDaemon(t: Ending, places: number): Promise<{ socket: string; codes: string[] }> {
  let taken = 0;
  const codes: string[] = [];
  const socket = await scriptedServer(t, (request, response) => {
    const code = taken < places ? 'ok' : 'overloaded';
    codes.push(code);
    if (code === 'overloaded') {
      problemListener(code)(request, response);
      return;
    }
    taken += 1;
    setTimeout(() => {
      taken -= 1;
      respond(response, 200, 'application/octet-stream', String(request.url).slice(-1));
    }, 20);
  });
  return { socket, codes };
}

t.test('a daemon that takes fewer questions at once than are asked is asked fewer', async (t) => {
  runFromSources(t);
  for (const places of [1, 2, 3]) {
    const { socket, codes } = await narrowDaemon(t, places);
    const command = ['sh', '-c', 'printf %s "$V0" "$V1" "$V2" "$V3" "$V4" "$V5" "$V6" "$V7" "$V8"'];
    const ended = await runProgram(['exec', '--socket', socket, ...NINE, '--', ...command]);
    t.match({ ...ended, stdout: ended.stdout.toString() }, { status: 0, stderr: '', stdout: '012345678' });
    t.ok(codes.length <= 9 + 3, String(codes));
  }
});

t.test('a daemon that others overload is given up soon, however many secrets are asked for', async (t) => {
  for (const [operands, most] of [
    [NINE.slice(0, 1), 1],
    [NINE, 5],
  ] as const) {
    const { socket, codes } = await narrowDaemon(t, 0);
    const io = memoryIo();
    t.equal(await run(['exec', '--socket', socket, ...operands, '--', 'true'], io), 75);
    t.match(io.errors(), /^mxm-secretsd exec: name_\d: overloaded: .+\n$/);
    t.ok(codes.length <= most, String(codes));
  }
});

t.test('--wait waits as get does', async (t) => {
  let asked = 0;
  const late: RequestListener = (request, response) => {
    asked += 1;
    if (asked < 3) problemListener('overloaded')(request, response);
    else respond(response, 200, 'application/octet-stream', 'late');
  };
  const socket = await scriptedServer(t, late);
  const ended = await runProgram(['exec', '--socket', socket, '--wait', '60', 'A=a', '--', 'sh', '-c', 'echo $A']);
  t.match({ ...ended, stdout: ended.stdout.toString() }, { status: 0, stdout: 'late\n' });
  t.equal(await run(['exec', '--socket', socket, '--wait', 'x', '--', 'true'], memoryIo()), 64);
});

t.test('a value that no environment variable can hold ends with 65 and is not shown', async (t) => {
  runFromSources(t);
  for (const [name, message] of [
    ['bytes', 'A: the value has a NUL byte, which no environment variable can hold: use --file'],
    ['latin', 'A: the value is not UTF-8 text: use --file'],
  ] as const) {
    t.match(await exec(t, [`A=${name}`, '--', 'echo', 'started']), {
      status: 65,
      stdout: '',
      stderr: `mxm-secretsd exec: ${message}\n`,
    });
  }
});

t.test('what would reach the command changed, as it is not UTF-8, is asked for and started by nobody', async (t) => {
  runFromSources(t);
  const asked: string[] = [];
  const env = { MXM_SECRETSD_SOCKET: await daemon(t, asked), FITS: 'caf\ufffd é' };
  const under = (script: string): readonly string[] => ['sh', '-c', `latin=$(printf 'caf\\351'); ${script}`, 'sh'];
  const ran = async (script: string, ...command: string[]): Promise<Omit<Finished, 'stdout'> & { stdout: string }> => {
    const ended = await runProgram(['exec', 'A=api_key', '--', ...command], { env, under: under(script) });
    return { ...ended, stdout: ended.stdout.toString() };
  };
  for (const [script, why] of [
    ['exec "$@" "$latin"', /^mxm-secretsd exec: the command: argument 2 is not UTF-8 and would arrive changed: .+\n$/],
    ['exec env X="$latin" "$@"', /^mxm-secretsd exec: the variable X is not UTF-8 and .+ with env -u X\n$/],
  ] as const) {
    t.match(await ran(script, 'echo', 'started'), { status: 65, stdout: '', stderr: why }, script);
  }
  const named = await runProgram(['exec', '--'], { env, under: under('exec "$@" "$latin"') });
  t.match(named, { status: 65, stderr: /^mxm-secretsd exec: the command: its name is not UTF-8 and .+\n$/ });
  t.same(asked, []);

  const both = await ran('A="$latin" exec "$@" "$FITS"', 'sh', '-c', 'printf "%s|%s|%s" "$A" "$FITS" "$1"', 'sh');
  t.match(both, { status: 0, stdout: `${CANARY}|caf\ufffd é|caf\ufffd é` }, 'what the bytes are arrives');
});

t.test('a value that is too long for an environment ends with 126, and only its file is of use', async (t) => {
  runFromSources(t);
  const { status, stdout, stderr } = await exec(t, ['A=long', '--', 'echo', 'started']);
  t.same([status, stdout], [126, '']);
  t.equal(
    stderr,
    'mxm-secretsd exec: echo: the arguments and the environment are too large (E2BIG): use --file for a large value\n',
  );
});

t.test('with --file', { skip: memory.skip }, async (t) => {
  const at = memoryFolder(t);
  const env = { XDG_RUNTIME_DIR: at };

  await t.test(
    'the variable holds the path of a file of the bytes, readable by its owner alone, in memory',
    async (t) => {
      const script = 'echo "$A"; stat -c %a "$A" "$(dirname "$A")"; stat -f -c %T "$A"; cat "$A"';
      const ended = await exec(t, ['--file', 'A=bytes', '--', 'sh', '-c', script], env);
      const [path = '', ...rest] = ended.stdout.split('\n');
      t.match(path, new RegExp(`^${at}/mxm-secretsd-[^/]+/A$`));
      t.same(rest, ['600', '700', 'tmpfs', ...BYTES.toString('latin1').split('\n')]);
      t.same(readdirSync(at), [], 'and it is gone afterwards');
    },
  );

  await t.test('files and variables go together', async (t) => {
    runFromSources(t);
    const args = ['A=other', '--file', 'B=api_key', '--file', 'C=other', '--', 'sh', '-c', 'cat $B $C; printf %s "$A"'];
    const { stdout } = await exec(t, args, env);
    t.equal(Buffer.from(stdout, 'latin1').toString(), `${CANARY}${String(VALUES['other']).repeat(2)}`);
  });

  await t.test('nothing is left whatever ends the command, or hinders its start', async (t) => {
    for (const [command, status] of [
      [['sh', '-c', 'kill -KILL $$'], 137],
      [['sh', '-c', 'rm -r "$(dirname "$A")"'], 0],
      [['no-such-command-anywhere'], 127],
      [[import.meta.dirname], 126],
    ] as const) {
      t.match(await exec(t, ['--file', 'A=api_key', '--', ...command], env), { status });
      t.same(readdirSync(at), []);
    }
    t.match(await exec(t, ['B=bytes', '--file', 'A=api_key', '--', 'true'], env), { status: 65 });
    t.match(await exec(t, ['B=denied', '--file', 'A=api_key', '--', 'true'], env), { status: 77 });
    t.same(readdirSync(at), []);
  });

  await t.test('signals that end exec and the command leave nothing', async (t) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
      const { child, started } = await sleeper(t, ['--file', 'A=api_key'], env);
      t.equal(readdirSync(at).length, 1);
      child.kill(signal);
      t.same(
        await started.ended,
        [128 + { SIGTERM: 15, SIGINT: 2, SIGHUP: 1, SIGQUIT: 3, SIGUSR1: 10, SIGUSR2: 12 }[signal], null],
        signal,
      );
      t.same(readdirSync(at), []);
    }
  });

  await t.test('when exec is killed the files are there until the command ends, and gone then', async (t) => {
    const { child, started } = await sleeper(t, ['--file', 'A=api_key'], env);
    const [folder = ''] = readdirSync(at);
    await until(() => readFileSync(join(at, folder, '.holders'), 'utf8').includes(` ${started.pid} `));
    child.kill('SIGKILL');
    await started.ended;
    t.ok(existsSync(join(at, folder, 'A')));
    process.kill(started.pid, 'SIGKILL');
    await until(() => readdirSync(at).length === 0);
  });

  await t.test('where no file system is in memory nothing is started', async (t) => {
    const nowhere = writeFile(
      temporaryFolder(t),
      'nowhere.mjs',
      `import fs from 'node:fs'; import { syncBuiltinESMExports } from 'node:module';
fs.statfsSync = () => ({ type: 0xef53 }); syncBuiltinESMExports();\n`,
    );
    const ended = await runProgram(['exec', '--file', 'A=api_key', '--', 'echo', 'started'], {
      env: { MXM_SECRETSD_SOCKET: await daemon(t) },
      nodeArguments: [`--import=${pathToFileURL(nowhere).href}`],
    });
    t.match(
      { ...ended, stdout: ended.stdout.toString() },
      { status: 73, stdout: '', stderr: /^mxm-secretsd: there is no file system in memory to write to: .+\n$/ },
    );
  });
});

/** As a shell with job control runs a command: the kernel stops no group whose session knows nobody outside of it. */
const AS_A_JOB = [
  python.file,
  '-c',
  `import os, sys
os.setsid()
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.execvp(sys.argv[1], sys.argv[1:])
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`,
];

/** Runs a command under exec that sleeps until a signal ends it. */
async function sleeper(
  t: Ending,
  bindings: readonly string[],
  env: Record<string, string>,
  under: readonly string[] = [],
) {
  const child = startProgram(['exec', ...bindings, '--', 'sh', '-c', 'echo $$; exec sleep 1000'], {
    env: { MXM_SECRETSD_SOCKET: await daemon(t), ...env },
    under,
  });
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  const pid = Number(line);
  child.stdout!.destroy();
  child.stderr!.destroy();
  t.teardown(() => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  });
  return { child, started: { pid, ended } };
}

t.test('no value is among the arguments of a process, and none in an output of exec', async (t) => {
  const socket = await daemon(t);
  const script = 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n"';
  const ended = await runProgram(['exec', 'A=api_key', '--', 'sh', '-c', script], {
    env: { MXM_SECRETSD_SOCKET: socket },
  });
  t.match(ended.stdout.toString('latin1'), 'A=api_key');
  t.notMatch(ended.stdout.toString('latin1') + ended.stderr, CANARY);
});

t.test('signals without a terminal are passed on, once each', async (t) => {
  const signals = [
    ...(['TERM', 'INT', 'HUP', 'QUIT', 'USR1', 'USR2', 'WINCH', 'CONT', 'URG'] as const),
    ...(['ALRM', 'VTALRM', 'PROF', 'XCPU', 'IO', 'PWR'] as const),
  ];
  const script = `${signals.map((name) => `trap 'echo ${name}' ${name};`).join(' ')} trap 'kill $!; exit 3' SYS; sleep 1000 & echo ready $$; while :; do wait; done`;
  const child = startProgram(['exec', 'A=api_key', '--', 'sh', '-c', script], {
    env: { MXM_SECRETSD_SOCKET: await daemon(t) },
    under: ['setsid', '--wait'],
  });
  let told = '';
  child.stdout!.on('data', (chunk: Buffer) => (told += chunk.toString()));
  const [, pid = ''] = await until(() => /ready (\d+)\n/.exec(told) ?? undefined);
  const exec = Number(/PPid:\t(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  for (const name of signals) {
    process.kill(exec, `SIG${name}`);
    await until(() => told.includes(`\n${name}\n`));
  }
  process.kill(Number(pid), 'SIGSYS');
  t.equal(((await once(child, 'close')) as [number])[0], 3);
  // What measures the tests takes SIGIO by its other name, SIGPOLL, for one that nobody waits for, and raises it again,
  // sooner or later.
  const lines = told.trimEnd().split('\n').slice(1);
  t.same(
    lines.filter((name, index) => name !== 'IO' || lines.indexOf(name) === index),
    signals,
  );
});

t.test('SIGTSTP stops the command and exec, and SIGCONT lets both go on', { skip: python.skip }, async (t) => {
  const { started } = await sleeper(t, ['A=api_key'], {}, AS_A_JOB);
  const statusOf = (pid: number, key: string): string =>
    new RegExp(`^${key}:\\t(\\w+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '';
  const exec = Number(statusOf(started.pid, 'PPid'));
  process.kill(exec, 'SIGTSTP');
  await until(() => statusOf(started.pid, 'State') === 'T' && statusOf(exec, 'State') === 'T');
  process.kill(exec, 'SIGCONT');
  await until(() => statusOf(started.pid, 'State') === 'S' && statusOf(exec, 'State') !== 'T');
  process.kill(exec, 'SIGTERM');
  t.same(await started.ended, [143, null]);
});

t.test('on a terminal', { skip: terminal.skip }, async (t) => {
  const start = async (script: string, ...shell: string[]): Promise<Terminal> =>
    onTerminal(t, [...shell, ...PROGRAM, 'exec', 'A=api_key', '--', 'sh', '-c', script], {
      MXM_SECRETSD_SOCKET: await daemon(t),
    });
  const counting = `trap 'echo got INT' INT; trap 'echo got QUIT' QUIT; trap 'echo got TERM' TERM; trap 'exit 4' USR1; echo ready $$; while :; do sleep 0.05; done`;

  await t.test('the command has the terminal', async (t) => {
    const screen = await start(
      'test -t 0 && test -t 1 && test -t 2 && stty size >/dev/null && read line && echo "read $line"',
    );
    screen.type('typed\n');
    await screen.shows(/read typed\n/);
    t.equal(await screen.status, 0);
  });

  await t.test('the keys reach it once, and what is sent to exec alone reaches it as well', async (t) => {
    const screen = await start(counting);
    const [, pid = ''] = await screen.shows(/ready (\d+)\n/);
    const exec = Number(/PPid:\t(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
    screen.type('\x03');
    await screen.shows(/got INT\n/);
    screen.type('\x1c');
    await screen.shows(/got QUIT\n/);
    process.kill(exec, 'SIGTERM');
    await screen.shows(/got TERM\n/);
    process.kill(exec, 'SIGUSR1');
    t.equal(await screen.status, 4);
    for (const name of ['INT', 'QUIT', 'TERM']) t.equal(screen.shown().split(`got ${name}`).length, 2, name);
  });

  await t.test('Ctrl-C that ends the command ends exec with its status', async (t) => {
    const screen = await start('echo ready; exec sleep 1000');
    await screen.shows(/ready\n/);
    screen.type('\x03');
    t.equal(await screen.status, 130);
  });

  await t.test('Ctrl-Z stops both for the shell, which takes them up again', async (t) => {
    const socket = await daemon(t);
    const screen = onTerminal(t, ['bash', '--norc', '--noprofile', '-i'], { MXM_SECRETSD_SOCKET: socket, PS1: '> ' });
    await screen.shows(/> $/);
    const words = [...PROGRAM, 'exec', 'A=api_key', '--', 'sh', '-c', 'echo re""ady; read line; echo "read $line"'];
    screen.type(`${words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')}\n`);
    await screen.shows(/\nready\n/);
    screen.type('\x1a');
    await screen.shows(/Stopped/);
    screen.type('echo the shell is ba""ck\n');
    await screen.shows(/the shell is back/);
    screen.type('fg\n');
    screen.type('typed\n');
    await screen.shows(/read typed\n/);
    screen.type('exit 5\n');
    t.equal(await screen.status, 5);
  });

  await t.test('a new size of the window reaches it once', async (t) => {
    const screen = await start(
      "trap 'echo got WINCH; stty size' WINCH; trap 'exit 4' USR1; echo ready $$; stty cols 99 rows 33; sleep 0.1; while :; do sleep 0.05; done",
    );
    const [, pid = ''] = await screen.shows(/ready (\d+)\n/);
    await screen.shows(/got WINCH\n33 99\n/);
    process.kill(Number(pid), 'SIGUSR1');
    t.equal(await screen.status, 4);
    t.equal(screen.shown().split('got WINCH').length, 2);
  });

  await t.test('a terminal that is closed leaves no command and no file', { skip: memory.skip }, async (t) => {
    const at = memoryFolder(t);
    const screen = onTerminal(
      t,
      [...PROGRAM, 'exec', '--file', 'A=api_key', '--', 'sh', '-c', 'echo ready $$; exec sleep 1000'],
      { MXM_SECRETSD_SOCKET: await daemon(t), XDG_RUNTIME_DIR: at },
    );
    const [, pid = ''] = await screen.shows(/ready (\d+)\n/);
    screen.hangUp();
    await until(() => !existsSync(`/proc/${pid}`) && readdirSync(at).length === 0);
    t.pass('all is gone');
  });
});
