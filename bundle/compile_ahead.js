import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The options of Node that the program is started with: as it is, and in the systemd unit. */
const STARTED_WITH = [[], ['--jitless']];

/** Without what changes how Node compiles: the options of whoever builds, and a coverage that is measured. */
const ENVIRONMENT = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_')));
const TIMEOUT_MS = 60_000;
const SOCKET = 's.sock';
const LAUNCH = `identity: { machine: localhost, environment: dev, role: build }
secrets: secrets.yaml
socket: { path: ${SOCKET} }
`;
const SECRETS = `stores: { env: { backend: env, root: mxm/build } }
refs: { value: { store: env, path: value, policy: open } }
policies: { open: { allowed_principals: [build] } }
`;

/**
 * Runs the program that is built as a user would, so that V8 compiles what a start and a first secret take, and keeps
 * that beside it. A build without it is whole, and only starts slower: it is told, and nothing fails.
 */
export async function compileAhead() {
  try {
    const ends = await Promise.allSettled(STARTED_WITH.map(tryOut));
    for (const { status, reason } of ends) if (status === 'rejected') throw reason;
  } catch (error) {
    console.error(`built without what V8 compiles of it, so that it starts slower: ${error.message}`);
  }
}

async function tryOut(options) {
  const folder = mkdtempSync(join(tmpdir(), 'mxm-'));
  writeFileSync(join(folder, 'launch.yaml'), LAUNCH);
  writeFileSync(join(folder, 'secrets.yaml'), SECRETS);
  const daemon = start(folder, options, ['serve', '--launch', 'launch.yaml']);
  try {
    // What it says first is that it listens.
    await Promise.race([once(daemon.child.stdout, 'data'), daemon.ended]);
    await start(folder, options, ['get', 'value', '--socket', SOCKET]).ended;
  } finally {
    daemon.child.kill();
    // Last, so that what both load is kept as the daemon has used it.
    await daemon.ended.finally(() => rmSync(folder, { recursive: true }));
  }
}

function start(cwd, options, args) {
  const program = fileURLToPath(new URL('keep_code.js', import.meta.url));
  const child = spawn(process.execPath, [...options, program, ...args], {
    cwd,
    env: { ...ENVIRONMENT, MXM_BUILD_VALUE: 'value' },
    timeout: TIMEOUT_MS,
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const ended = once(child, 'close').then(([status, signal]) => {
    if (status !== 0) throw new Error(`${args[0]} ended with ${signal ?? status}: ${stderr}`);
  });
  return { child, ended };
}
