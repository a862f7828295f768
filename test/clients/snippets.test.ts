import { execFile } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { fenceOf, readDocument, ROOT } from '../support/markdown.js';
import { patternOf, printedCommands } from '../support/printed_commands.js';
import { PROGRAM, startDaemonProcess } from '../support/process.js';
import { onPath, realComponent } from '../support/real_component.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

const execute = promisify(execFile);
const document = readDocument('docs/clients.md');

const curl = realComponent('curl', onPath('curl'));
const python = realComponent('python3', onPath('python3'));
const go = realComponent('go', onPath('go'));

const SECRETS = `
stores: { red: { backend: env, root: mxm/clients } }
refs:
  api_key: { store: red, path: api-key, policy: POLICY }
policies:
  open: { allowed_principals: [marketdata] }
  closed: { allowed_principals: [] }
`;
const VALUE = 'v4lue with "quotes", ünicode\nand lines';
const env = { MXM_CLIENTS_API_KEY: VALUE };

const allowing = await startDaemonProcess(t, { secrets: SECRETS.replace('POLICY', 'open'), env });
const printing = await startDaemonProcess(t, {
  secrets: SECRETS.replace('POLICY', 'open'),
  env: { MXM_CLIENTS_API_KEY: 'k-12345' },
});
const lacking = await startDaemonProcess(t, { secrets: SECRETS.replace('POLICY', 'open') });
const denying = await startDaemonProcess(t, { secrets: SECRETS.replace('POLICY', 'closed'), env });

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  file: string,
  args: readonly string[],
  socket: string,
  options: { cwd: string; path?: string },
): Promise<Ended> {
  const path = [options.path, process.env['PATH']].filter((part) => part !== undefined).join(delimiter);
  const child = execute(file, [...args], {
    cwd: options.cwd,
    env: { ...process.env, NODE_OPTIONS: '', PATH: path, MXM_SECRETSD_SOCKET: socket, PYTHONDONTWRITEBYTECODE: '1' },
  });
  try {
    return { status: 0, ...(await child) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, stdout, stderr };
  }
}

/** A folder whose `mxm-secretsd` is this one. */
function programFolder(folder: string): string {
  const path = join(folder, 'bin');
  mkdirSync(path);
  const file = writeFile(
    path,
    'mxm-secretsd',
    `#!/bin/sh\nexec ${PROGRAM.map((part) => `'${part}'`).join(' ')} "$@"\n`,
  );
  chmodSync(file, 0o755);
  return path;
}

/** Runs what the page shows: first where the policy allows it, then where it does not. */
async function replay(t: Test, heading: string, options: { cwd: string; path?: string }): Promise<void> {
  const consoles = document.fences.filter(({ under, language }) => under === heading && language === 'console');
  t.equal(consoles.length, 2);
  for (const [index, { socket }] of [printing, denying].entries()) {
    for (const { command, output } of printedCommands(consoles[index]!.text)) {
      const { stdout } = await run('sh', ['-c', `exec 2>&1; ${command}`], socket, options);
      t.match(stdout.trimEnd(), patternOf(output), command);
    }
  }
}

t.test('the shell snippets print the value, and end with the status of a refusal', { skip: curl.skip }, async (t) => {
  const folder = temporaryFolder(t);
  const options = { cwd: ROOT, path: programFolder(folder) };
  for (const [language, refused] of [
    ['sh', 77],
    ['bash', 22],
  ] as const) {
    const snippet = fenceOf(document, 'Shell', language);
    t.match(await run('sh', ['-c', snippet], allowing.socket, options), { status: 0, stdout: VALUE });
    t.match(await run('sh', ['-c', snippet], denying.socket, options), { status: refused, stdout: '' });
  }
  await replay(t, 'Shell', options);
});

t.test('the shell snippets wait for a daemon whose socket is not there yet', { skip: curl.skip }, async (t) => {
  const folder = temporaryFolder(t);
  const options = { cwd: ROOT, path: programFolder(folder) };
  for (const language of ['sh', 'bash']) {
    const socket = join(folder, `${language}.sock`);
    const asked = run('sh', ['-c', fenceOf(document, 'Shell', language)], socket, options);
    await sleep(500);
    symlinkSync(allowing.socket, socket);
    t.match(await asked, { status: 0, stdout: VALUE }, language);
  }
});

t.test('the snippet for Node prints the value, and the code of a refusal, and has the right types', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'node_modules'));
  const client = join(folder, 'node_modules/mxm-secretsd');
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  await execute(tsc, ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(client, 'dist')]);
  cpSync(join(ROOT, 'package.json'), join(client, 'package.json'));
  const text = fenceOf(document, 'TypeScript and JavaScript', 'js');
  const snippet = writeFile(folder, 'ask.mjs', text);
  t.match(await run(process.execPath, [snippet], allowing.socket, { cwd: folder }), { status: 0, stdout: VALUE });
  t.match(await run(process.execPath, [snippet], denying.socket, { cwd: folder }), {
    status: 1,
    stdout: '',
    stderr: 'access_denied 403 false\n',
  });
  await replay(t, 'TypeScript and JavaScript', { cwd: folder });

  writeFile(folder, 'ask.mts', text);
  const types = join(ROOT, 'node_modules/@types');
  const options = ['--strict', '--module', 'nodenext', '--types', 'node', '--typeRoots', types, '--noEmit'];
  t.match(await run(tsc, [...options, 'ask.mts'], '', { cwd: folder }), { status: 0, stdout: '' }, 'it is TypeScript');
});

t.test(
  'the snippet for Python prints the value, the code of a refusal, or that there is none',
  { skip: python.skip },
  async (t) => {
    const folder = temporaryFolder(t);
    cpSync(join(ROOT, 'clients/python/mxm_secretsd.py'), join(folder, 'mxm_secretsd.py'));
    const snippet = writeFile(folder, 'ask.py', fenceOf(document, 'Python', 'python'));
    t.match(await run(python.file, [snippet], allowing.socket, { cwd: folder }), { status: 0, stdout: VALUE });
    t.match(await run(python.file, [snippet], denying.socket, { cwd: folder }), {
      status: 1,
      stdout: '',
      stderr: 'access_denied 403 False\n',
    });
    t.match(await run(python.file, [snippet], lacking.socket, { cwd: folder }), {
      status: 1,
      stdout: '',
      stderr: 'api_key: the store gives no value: see the log of the daemon\n',
    });
    await replay(t, 'Python', { cwd: folder });
  },
);

t.test('the snippet for Go prints the value, and the code of a refusal', { skip: go.skip }, async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'go.mod'), 'module snippet\n\ngo 1.21\n');
  writeFile(folder, 'ask.go', fenceOf(document, 'Go', 'go'));
  await execute(go.file, ['build', '-o', 'snippet', '.'], { cwd: folder }); // what is run below is built by then
  const snippet = join(folder, 'snippet');
  t.match(await run(snippet, [], allowing.socket, { cwd: folder }), { status: 0, stdout: VALUE });
  const refused = await run(snippet, [], denying.socket, { cwd: folder });
  t.match(refused, { status: 1, stdout: '' });
  t.match(refused.stderr, '"code":"access_denied"');
  await replay(t, 'Go', { cwd: folder });
});
