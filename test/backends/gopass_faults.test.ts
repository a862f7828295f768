import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import t from 'tap';
import type { Backend, BackendAnswer } from '../../src/backends/backend.js';
import { gopassKind } from '../../src/backends/gopass.js';
import { variablesIn } from '../support/environment.js';
import {
  CANARY,
  fakeGopass,
  type FakeProgram,
  fakeProgram,
  faultyGopass,
  FAULTS,
  REAL_VERSION,
} from '../support/fake_gopass.js';
import { isRunning } from '../support/process_table.js';
import { watchBuffers } from '../support/retained.js';
import { type Ending, temporaryFolder, writeFile } from '../support/temporary.js';

// What the real gopass cannot be made to show; all that it can is in gopass.test.ts.

const PATH = process.env['PATH'] ?? '';

function open(binary: string | undefined, environment: Record<string, string> = { PATH }): Backend {
  const options = binary === undefined ? {} : { binary };
  return gopassKind.open({ name: 'red', backend: 'gopass', root: 'mxm/red', options }, { environment });
}

async function ask(backend: Backend, signal = new AbortController().signal, field?: string): Promise<BackendAnswer> {
  return backend.fetch({
    location: 'mxm/red/key',
    maxBytes: 1_048_576,
    signal,
    ...(field !== undefined && { field }),
  });
}

function told(answer: Awaited<ReturnType<Backend['probe']>> | BackendAnswer): string {
  if (!answer.ok) return `${answer.code}/${answer.reason}`;
  return 'value' in answer ? answer.value.toString('latin1') : 'ready';
}

async function fetch(fake: FakeProgram): Promise<string> {
  return told(await ask(open(fake.file)));
}

t.test('gopass is asked for the entry as it is stored, and after -- for the location', async (t) => {
  const fake = fakeGopass(t, 'echo value');
  t.equal(await fetch(fake), 'value');
  t.same(fake.lines('calls'), ['show -n -- mxm/red/key']);
});

t.test('hazard: gopass has nothing to read, so that no command of it can write an entry', async (t) => {
  const fake = fakeGopass(t, 'readlink /proc/self/fd/0', {
    version: `readlink /proc/self/fd/0 >>"$0.stdin"; echo '${REAL_VERSION}'`,
  });
  t.equal(await fetch(fake), '/dev/null');
  t.same(fake.lines('stdin'), ['/dev/null']);
});

t.test('hazard: gopass gets a minimal environment', async (t) => {
  const fake = fakeGopass(t, 'env -0');
  const environment = {
    PATH: withGpgconf(t, 'exit 1').path,
    HOME: '/home/somebody',
    GNUPGHOME: '/gnupg',
    XDG_CONFIG_HOME: '/xdg',
    PASSWORD_STORE_DIR: '/elsewhere',
    GOPASS_DEBUG_LOG: '/tmp/log',
    GOPASS_UMASK: '0',
    GOPASS_AGE_PASSWORD: CANARY,
    GPG_TTY: '/dev/tty',
    LC_ALL: 'de_DE.UTF-8',
    LD_PRELOAD: '/evil.so',
    MXM_RED_OTHER: CANARY,
  };
  const names = variablesIn(told(await ask(open(fake.file, environment))))
    .map((variable) => variable.slice(0, variable.indexOf('=')))
    .filter((name) => !['PWD', 'OLDPWD', '_'].includes(name)); // the shell's
  t.same(names.filter((name) => !name.startsWith('GOPASS_CONFIG_')).sort(), [
    'GNUPGHOME',
    'GOPASS_GPG_OPTS',
    'GOPASS_NO_REMINDER',
    'HOME',
    'PATH',
    'XDG_CONFIG_HOME',
  ]);
});

t.test('hazard: gpg is told not to wait for anybody', async (t) => {
  const fake = fakeGopass(t, 'echo "$GOPASS_GPG_OPTS"');
  t.match(await fetch(fake), /^--batch --no-tty --pinentry-mode=error /);
});

/** A gpgconf, and a PATH on which it is the first. */
function withGpgconf(t: Ending, script: string): { path: string; gpgconf: FakeProgram } {
  const gpgconf = fakeProgram(t, 'gpgconf', `echo >>"$0.calls"; ${script}`);
  return { path: `${dirname(gpgconf.file)}:${PATH}`, gpgconf };
}

t.test('gopass is told where gpg is, so that it need not ask each time', async (t) => {
  const fake = fakeGopass(t, 'echo "gpg: $GOPASS_GPG_BINARY"');
  const folder = temporaryFolder(t);
  const gpg = writeFile(folder, 'gpg', 'one', 0o700);
  const components = `echo 'scdaemon:Smartcards:/nowhere/scdaemon'; echo 'gpg:OpenPGP:${gpg}'`;

  await t.test('by gpgconf, which is asked once', async (t) => {
    const { path, gpgconf } = withGpgconf(t, components);
    const backend = open(fake.file, { PATH: path });
    for (let time = 0; time < 3; time += 1) t.equal(told(await ask(backend)), `gpg: ${gpg}`);
    t.equal(gpgconf.lines('calls').length, 1);
  });

  await t.test('and again when gpg has changed', async (t) => {
    const { path, gpgconf } = withGpgconf(t, components);
    const backend = open(fake.file, { PATH: path });
    t.equal(told(await ask(backend)), `gpg: ${gpg}`);
    writeFile(folder, 'gpg', 'another', 0o700);
    t.equal(told(await ask(backend)), `gpg: ${gpg}`);
    t.equal(gpgconf.lines('calls').length, 2);
    rmSync(gpg);
    t.equal(told(await ask(backend)), 'gpg: ', 'and looks by itself for one that is gone');
    writeFile(folder, 'gpg', 'one', 0o700);
  });

  const silent = {
    'that fails': `${components}; exit 1`,
    'that knows no gpg': "echo 'scdaemon:Smartcards:/usr/lib/scdaemon'",
    'that names a gpg that is not there': "echo 'gpg:OpenPGP:/nowhere/gpg'",
    'that prints without an end': 'yes gpg:OpenPGP:/usr/bin/gpg',
  };
  for (const [which, script] of Object.entries(silent)) {
    await t.test(`but not by a gpgconf ${which}`, async (t) => {
      t.equal(told(await ask(open(fake.file, { PATH: withGpgconf(t, script).path }))), 'gpg: ');
    });
  }

  await t.test('nor where there is no gpgconf', async (t) => {
    t.equal(told(await ask(open(fake.file, { PATH: temporaryFolder(t) }))), 'gpg: ');
  });
});

for (const [name, fault] of Object.entries(FAULTS)) {
  t.test(`a gopass that ${name} is ${fault.code}/${fault.reason}; nothing of it is told, left or kept`, async (t) => {
    const buffers = watchBuffers(t);
    const fake = faultyGopass(t, fault);
    const controller = new AbortController();
    const asked = ask(open(fake.file), controller.signal);
    if (fault.endless !== undefined) {
      await fake.noted(fault.endless);
      controller.abort();
    }
    const answer = await asked;
    t.same(answer, { ok: false, code: fault.code, reason: fault.reason });
    t.notMatch(inspect(answer, { depth: 9, showHidden: true }), CANARY);
    t.equal(buffers.retaining(CANARY), 0);
    const escaped = existsSync(`${fake.file}.outside`) ? 1 : 0;
    t.equal(fake.lines('noted').filter((pid) => isRunning(Number(pid))).length, escaped);
  });
}

t.test('a slow gopass is waited for', async (t) => {
  const gate = temporaryFolder(t);
  const fake = fakeGopass(t, `note $$; until [ -e ${gate}/open ]; do sleep 0.01; done; echo value`);
  const asked = ask(open(fake.file));
  await fake.noted(1);
  writeFile(gate, 'open', '');
  t.equal(told(await asked), 'value');
});

t.test('a gopass that leaves children behind gives its value, and they are ended', async (t) => {
  const fake = fakeGopass(t, 'sleep 1000 & note $!; echo value');
  t.equal(await fetch(fake), 'value');
  const [pid] = await fake.noted(1);
  t.notOk(isRunning(pid!));
});

t.test('what gopass prints on stderr beside a value does not count', async (t) => {
  t.equal(await fetch(fakeGopass(t, "echo 'gpg: No secret key' >&2; echo value")), 'value');
});

t.test('garbage with status 0 is a value: nobody can tell', async (t) => {
  t.equal(await fetch(fakeGopass(t, "printf '\\377\\000\\033[0m'")), '\u00ff\0\u001b[0m');
});

t.test('every exit status is told', async (t) => {
  const fake = fakeGopass(t, 'exit "$(cat "$0.status")"');
  const backend = open(fake.file);
  const known: Record<number, string> = {
    1: 'backend_unavailable/cannot_start',
    6: 'backend_unavailable/not_initialised',
    10: 'secret_not_found/entry_missing',
    16: 'backend_unavailable/cannot_start',
  };
  for (let status = 1; status < 256; status += 1) {
    writeFile(dirname(fake.file), 'gopass.status', String(status));
    t.equal(told(await ask(backend)), known[status] ?? 'backend_failed/unexpected_answer', String(status));
  }
});

t.test('a process, a thread, a descriptor or memory that is not to be had is no fault of the entry', async (t) => {
  const cases: [number, string, string][] = [
    [
      11,
      '❌ Decryption failed: fork/exec /usr/bin/gpg: resource temporarily unavailable\n\n\nError: x',
      'cannot_start',
    ],
    [11, '⚠ warned\n❌ Decryption failed: pipe2: too many open files\n\n\nError: x: failed to decrypt', 'cannot_start'],
    [11, '❌ Decryption failed: fork/exec /usr/bin/gpg: too many open files in system\n\n\nError: x', 'cannot_start'],
    [11, 'Error: failed to list store: open /store: cannot allocate memory', 'cannot_start'],
    [11, '❌ Decryption failed: exit status 2\n❌ Decryption failed: x: too many open files\n', 'decrypt_failed'],
    [11, '❌ Decryption failed: exit status 2\nruntime: out of memory: too many open files', 'decrypt_failed'],
    [11, 'Error: failed to retrieve secret "x: too many open files": failed to decrypt', 'decrypt_failed'],
    [2, 'runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort\nPC=0', 'cannot_start'],
    [2, 'runtime: eventfd failed with 24\nfatal error: runtime: eventfd failed\n\ngoroutine 1', 'cannot_start'],
    [2, 'panic: runtime error: invalid memory address', 'unexpected_answer'],
  ];
  const fake = fakeGopass(t, 'cat "$0.says" >&2; exit "$(cat "$0.status")"');
  const backend = open(fake.file);
  for (const [status, says, reason] of cases) {
    writeFile(dirname(fake.file), 'gopass.says', `${says}\n`);
    writeFile(dirname(fake.file), 'gopass.status', String(status));
    const code = reason === 'cannot_start' ? 'backend_unavailable' : 'backend_failed';
    t.equal(told(await ask(backend)), `${code}/${reason}`, says);
  }
});

t.test('what gopass and gpg say is told apart', async (t) => {
  const fake = fakeGopass(t, 'cat "$0.says" >&2; exit 11');
  const backend = open(fake.file);
  const cases: [string, string][] = [
    ['Error: failed to retrieve secret "x": entry is not in the password store', 'secret_not_found/entry_missing'],
    ['Error: Entry "x" not found', 'secret_not_found/entry_missing'],
    ["gpg: can't connect to the agent: IPC connect call failed", 'backend_unavailable/agent_unreachable'],
    ['gpg: no gpg-agent running in this session', 'backend_unavailable/agent_unreachable'],
    ['gpg: decryption failed: No agent running', 'backend_unavailable/agent_unreachable'],
    ['Error: failed to retrieve secret "x": failed to decrypt', 'backend_failed/decrypt_failed'],
    ['Decryption failed: exit status 2', 'backend_failed/decrypt_failed'],
    ['panic: runtime error', 'backend_failed/unexpected_answer'],
    ['', 'backend_failed/unexpected_answer'],
  ];
  for (const [says, expected] of cases) {
    writeFile(dirname(fake.file), 'gopass.says', `${CANARY}\n${says}\n`);
    t.equal(told(await ask(backend)), expected, says);
  }
});

t.test(
  '"No secret key" means a locked key, an absent one or a damaged entry: gpg and its agent are asked',
  async (t) => {
    const folder = temporaryFolder(t);
    const fake = fakeGopass(t, 'cat "$0.status" >&3; cat "$0.says" >&2; exit 11', { folder });
    const keyring = (listing: string, info: string): void => {
      fakeProgram(t, 'gpg', `cat <<'END'\n${listing}\nEND`, folder);
      fakeProgram(t, 'gpg-connect-agent', `cat <<'END'\n${info}\nOK\nEND`, folder);
    };
    const backend = open(fake.file, { PATH: `${folder}:${PATH}` });
    const key = (id: string): string =>
      `ssb:u:255:18:${id.repeat(16)}:1::::::e:::+::cv25519::\ngrp:::::::::GRIP_${id}:`;
    const locked = (id: string): string => `S KEYINFO GRIP_${id} D - - - P - - -`;
    const encryptedTo = (...ids: string[]): string =>
      ids.map((id) => `[GNUPG:] ENC_TO ${id.repeat(16)} 18 0\n`).join('');

    keyring([key('A'), key('B')].join('\n'), locked('A'));
    const cases: [string, string][] = [
      [encryptedTo('A'), 'backend_locked/key_locked'],
      [encryptedTo('B'), 'backend_failed/decrypt_failed'],
      [encryptedTo('C'), 'backend_failed/key_missing'],
      ['', 'backend_failed/key_missing'],
      [encryptedTo('A', 'B'), 'backend_failed/decrypt_failed'],
      [encryptedTo('A', 'C'), 'backend_locked/key_locked'],
      [encryptedTo('0'), 'backend_failed/decrypt_failed'],
    ];
    for (const [status, expected] of cases) {
      for (const text of ['gpg: decryption failed: No secret key', 'gpg: public key decryption failed: No pinentry']) {
        writeFile(folder, 'gopass.status', status);
        writeFile(folder, 'gopass.says', `${text}\nError: failed to decrypt\n`);
        t.equal(told(await ask(backend)), expected, `${text}: ${status}`);
      }
    }

    keyring(key('A'), locked('A'));
    writeFile(folder, 'gopass.status', encryptedTo('0'));
    writeFile(folder, 'gopass.says', 'gpg: decryption failed: No secret key\n');
    t.equal(told(await ask(backend)), 'backend_locked/key_locked', 'a hidden recipient, and all keys are locked');

    fakeProgram(t, 'gpg', 'exit 2', folder);
    t.equal(told(await ask(backend)), 'backend_failed/unexpected_answer', 'nobody can be asked');
  },
);

t.test('what looks like a listing of the folder is asked about once more', async (t) => {
  const listing = `printf 'mxm/red/key/\\n%s' ${CANARY}`;
  const cases: [string, string, string][] = [
    ['an entry', 'exit 0', `mxm/red/key/\n${CANARY}`],
    ['a folder', 'echo "entry is not in the password store" >&2; exit 11', 'secret_not_found/entry_missing'],
    ['nobody can tell', 'kill -SEGV $$', 'backend_failed/killed_by_signal'],
  ];
  for (const [name, script, expected] of cases) {
    await t.test(name, async (t) => {
      const buffers = watchBuffers(t);
      const fake = fakeGopass(t, `case "$1" in show) ${listing} ;; *) ${script} ;; esac`);
      const answer = await ask(open(fake.file));
      t.equal(told(answer), expected);
      const show = 'show -n -- mxm/red/key';
      t.same(fake.lines('calls'), [show, 'sum -- mxm/red/key', ...(answer.ok ? [show] : [])]);
      if (answer.ok) answer.value.fill(0);
      t.equal(buffers.retaining(CANARY), 0);
    });
  }
});

t.test('a folder that becomes an entry while it is asked about gives the entry, and never its listing', async (t) => {
  const show = (listing: string): string =>
    `case "$1" in show) if [ -e "$0.entry" ]; then echo value; else ${listing}; fi ;; *) >"$0.entry" ;; esac`;
  for (const listing of [
    "printf 'mxm/red/key/\\n└── below\\n\\n'",
    "printf 'mxm/red/k%%!e(MISSING)y/\\n├── a\\n└── b\\n\\n'",
    'echo mxm/red/key',
    "yes '    └── below' | head -c 2000000",
  ]) {
    t.equal(await fetch(fakeGopass(t, show(listing))), 'value', listing);
  }
});

t.test('what looks like a listing is asked about until it is the same twice', async (t) => {
  const count = 'n=$(cat "$0.n" 2>/dev/null || echo 0); echo $((n + 1)) >"$0.n"';
  const fake = fakeGopass(t, `[ "$1" = sum ] || { ${count}; [ $n -lt 3 ] || n=3; printf "mxm/red/key/\\n$n"; }`);
  t.equal(await fetch(fake), 'mxm/red/key/\n3');
  t.equal(fake.lines('calls').length, 9);
});

t.test('a field is taken out of what gopass shows, and the rest is not kept', async (t) => {
  const buffers = watchBuffers(t);
  const fake = fakeGopass(t, `printf '%s\\nuser: alice\\n' ${CANARY}`);
  t.equal(told(await ask(open(fake.file), undefined, 'user')), 'alice');
  t.equal(told(await ask(open(fake.file), undefined, 'absent')), 'secret_not_found/field_missing');
  t.equal(buffers.retaining(CANARY), 0);
});

t.test('the real gopass is told by its version, 1.15.8 and later', async (t) => {
  const cases: [string, string][] = [
    ["echo 'gopass 1.16.1 go1.24.1 linux amd64'", 'value'],
    ["echo 'gopass 1.15.8 go1.20 linux amd64'", 'value'],
    ["echo 'gopass 1.15.10 go1.20 linux amd64'", 'value'],
    ["echo 'gopass 1.15.7 go1.20 linux amd64'", 'backend_unavailable/program_too_old'],
    ["echo 'gopass 1.100.0'", 'value'],
    ["echo 'gopass 2.0.0-rc1+git (abc) go1.30'", 'value'],
    ["echo 'gopass 1.14.9 go1.18 linux amd64'", 'backend_unavailable/program_too_old'],
    ["echo 'gopass 0.99.0'", 'backend_unavailable/program_too_old'],
    ["echo 'gopass 1.16.1'; exit 1", 'backend_unavailable/other_program'],
    ["echo 'gopass 1.16.1' >&2", 'backend_unavailable/other_program'],
    ["echo 'gopass v1.5.0'", 'backend_unavailable/other_program'],
    ["echo 'Gopass 1.16.1'", 'backend_unavailable/other_program'],
    ["echo 'usage: gopass [options]' >&2; exit 2", 'backend_unavailable/other_program'],
    ["echo 'runtime/cgo: pthread_create failed: x' >&2; exit 2", 'backend_unavailable/cannot_start'],
    [':', 'backend_unavailable/other_program'],
    ['yes', 'backend_unavailable/other_program'],
    ['kill -SEGV $$', 'backend_failed/killed_by_signal'],
  ];
  for (const [version, expected] of cases) {
    const fake = fakeGopass(t, 'echo value', { version });
    t.equal(await fetch(fake), expected, version);
    t.equal(fake.lines('calls').length, expected === 'value' ? 1 : 0, 'another program is asked for nothing');
  }
});

t.test('the version is asked for once, and again when the file is another one', async (t) => {
  const folder = temporaryFolder(t);
  const install = (printed: string): FakeProgram =>
    fakeGopass(t, 'echo value', { folder, version: `echo asked >>"$0.versions"; echo '${printed}'` });
  const fake = install('gopass 1.16.1');
  const backend = open(fake.file);
  for (let times = 0; times < 3; times += 1) t.equal(told(await ask(backend)), 'value');
  t.equal(fake.lines('versions').length, 1);
  const steps: [string, string][] = [
    ['someone else 1.0', 'backend_unavailable/other_program'],
    ['gopass 1.0.0', 'backend_unavailable/program_too_old'],
    ['gopass 1.17.0', 'value'],
  ];
  for (const [printed, expected] of steps) {
    install(printed);
    t.equal(told(await ask(backend)), expected, printed);
  }
  rmSync(fake.file);
  t.equal(told(await ask(backend)), 'backend_unavailable/binary_missing');
  install('gopass 1.16.1');
  t.equal(told(await ask(backend)), 'value');
});

t.test('a program that is not there or cannot be started is told', async (t) => {
  const folder = temporaryFolder(t);
  t.equal(told(await ask(open(join(folder, 'gopass')))), 'backend_unavailable/binary_missing');
  t.equal(told(await ask(open(undefined, { PATH: folder }))), 'backend_unavailable/binary_missing');
  t.equal(told(await ask(open(folder))), 'backend_unavailable/cannot_start', 'a folder');
  t.equal(told(await ask(open(writeFile(folder, 'data', 'x')))), 'backend_unavailable/cannot_start', 'not executable');
  const lost = writeFile(folder, 'lost', '#!/nowhere/sh\n', 0o700);
  t.equal(told(await ask(open(lost))), 'backend_unavailable/binary_missing', 'a script without its interpreter');
  symlinkSync('loop', join(folder, 'loop'));
  t.equal(told(await ask(open(join(folder, 'loop')))), 'backend_unavailable/binary_missing', 'a symlink to itself');
});

t.test('a program that vanishes between its version and the entry is told', async (t) => {
  const fake = fakeGopass(t, 'echo value', { version: `echo '${REAL_VERSION}'; rm "$0"` });
  t.equal(await fetch(fake), 'backend_unavailable/binary_missing');
  t.notOk(existsSync(fake.file));
});

t.test('gopass is looked for on PATH until it is found', async (t) => {
  const folder = temporaryFolder(t);
  const backend = open(undefined, { PATH: `${folder}:/nowhere` });
  t.equal(told(await ask(backend)), 'backend_unavailable/binary_missing');
  fakeGopass(t, 'echo value', { folder });
  t.equal(told(await ask(backend)), 'value');
});

t.test('an abort before the start starts nothing', async (t) => {
  const fake = fakeGopass(t, 'echo value', { version: `echo asked >>"$0.versions"; echo '${REAL_VERSION}'` });
  t.equal(told(await ask(open(fake.file), AbortSignal.abort())), 'backend_timeout/timeout');
  t.equal(told(await open(fake.file).probe(AbortSignal.abort())), 'backend_timeout/timeout');
  t.same(fake.lines('versions'), []);
});

t.test('an abort ends each step of a call', async (t) => {
  const listing = "printf 'mxm/red/key/\\n'";
  const hang = 'note $$; exec sleep 1000';
  const steps: Record<string, (t: Ending) => FakeProgram> = {
    'the version': (t) => fakeGopass(t, 'echo value', { version: hang }),
    'the entry': (t) => fakeGopass(t, hang),
    'the second question about what looks like a folder': (t) =>
      fakeGopass(t, `case "$1" in show) ${listing} ;; *) ${hang} ;; esac`),
  };
  for (const [name, install] of Object.entries(steps)) {
    await t.test(name, async (t) => {
      const fake = install(t);
      const controller = new AbortController();
      const asked = ask(open(fake.file), controller.signal);
      const [pid] = await fake.noted(1);
      controller.abort();
      t.equal(told(await asked), 'backend_timeout/timeout');
      t.notOk(isRunning(pid!));
    });
  }
});

t.test('an abort ends the question about keys, and the call settles', async (t) => {
  const folder = temporaryFolder(t);
  const fake = fakeGopass(t, "echo 'gpg: decryption failed: No secret key' >&2; exit 11", { folder });
  const gpg = fakeProgram(t, 'gpg', 'note $$; exec sleep 1000', folder);
  const controller = new AbortController();
  const asked = ask(open(fake.file, { PATH: `${folder}:${PATH}` }), controller.signal);
  const [pid] = await gpg.noted(1);
  controller.abort();
  t.notOk((await asked).ok);
  t.notOk(isRunning(pid!));
});

t.test('a probe lists the store and the keys, and decrypts nothing', async (t) => {
  const folder = temporaryFolder(t);
  const fake = fakeGopass(t, 'yes mxm/red/key | head -c 1000000', { folder });
  const gpg = fakeProgram(t, 'gpg', 'echo "$*" >>"$0.calls"', folder);
  fakeProgram(t, 'gpg-connect-agent', 'echo OK', folder);
  t.equal(told(await open(fake.file, { PATH: `${folder}:${PATH}` }).probe(new AbortController().signal)), 'ready');
  t.same(fake.lines('calls'), ['ls --flat']);
  t.same(gpg.lines('calls'), ['--batch --no-tty --with-colons --with-keygrip --list-secret-keys']);
});

t.test('where there is no gpg a store is ready when gopass lists it', async (t) => {
  const fake = fakeGopass(t, 'echo mxm/red/key');
  t.equal(told(await open(fake.file, { PATH: temporaryFolder(t) }).probe(new AbortController().signal)), 'ready');
});

t.test('a probe tells why no fetch can work', async (t) => {
  const cases: [string, string][] = [
    ['exit 6', 'backend_unavailable/not_initialised'],
    ['exit 1', 'backend_unavailable/cannot_start'],
    ['kill -KILL $$', 'backend_failed/killed_by_signal'],
    ['exit 14', 'backend_failed/unexpected_answer'],
  ];
  for (const [script, expected] of cases) {
    const { file } = fakeGopass(t, script);
    t.equal(told(await open(file).probe(new AbortController().signal)), expected, script);
  }
  t.equal(
    told(await open('/nowhere/gopass').probe(new AbortController().signal)),
    'backend_unavailable/binary_missing',
  );
});
