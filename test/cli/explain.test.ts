import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../../src/cli/run.js';
import { memoryIo } from '../support/io.js';
import { runProgram } from '../support/process.js';
import { realStrace } from '../support/real_component.js';
import { type Ending, temporaryFolder, writeFile } from '../support/temporary.js';

const SECRETS = `stores:
  red: { backend: gopass, root: hidden/root }
refs:
  api_key: { store: red, path: hidden/path, policy: access }
  master_key: { store: red, path: hidden/path, policy: closed }
policies:
  access:
    allowed_principals: [marketdata, research]
  closed:
    allowed_principals:
      []
`;

/** Gives the launch file. */
function configuration(t: Ending, secrets = SECRETS): string {
  const folder = temporaryFolder(t);
  writeFile(folder, 'secrets.yaml', secrets);
  return writeFile(
    folder,
    'launch.yaml',
    'identity: { machine: bridge, environment: dev, role: marketdata }\nsecrets: secrets.yaml\nsocket: { path: s.sock }\n',
  );
}

/** Runs explain; the folder of the files is left out of what it prints. */
async function explain(
  t: Ending,
  args: readonly string[],
  { isTTY = false, launch = configuration(t) } = {},
): Promise<{ status: number; text: string; errors: string }> {
  const io = memoryIo({ isTTY });
  const status = await run(['explain', ...args, '--launch', launch], io);
  const folder = launch.replace(/launch\.yaml$/, '');
  return { status, text: io.text().replaceAll(folder, ''), errors: io.errors() };
}

t.test('an allowed name: 0, and the chain as it is followed', async (t) => {
  t.same(await explain(t, ['api_key'], { isTTY: true }), {
    status: 0,
    text: `secret     api_key
principal  marketdata
policy     access
decision   allowed
store      red
backend    gopass
reason     access lists marketdata
`,
    errors: '',
  });
});

t.test('a denied name: 77, why, and what would have to change where', async (t) => {
  t.same(await explain(t, ['api_key', '--as', 'execution']), {
    status: 77,
    text: [
      'secret\tapi_key',
      'principal\texecution',
      'policy\taccess',
      'decision\tdenied',
      'store\tred',
      'backend\tgopass',
      'reason\taccess lists only marketdata, research',
      'change\tadd execution to allowed_principals of access, secrets.yaml:8',
      '',
    ].join('\n'),
    errors: '',
  });
  t.match((await explain(t, ['master_key'])).text, 'reason\tclosed lists nobody\n');
});

t.test('an unknown name: 66, and what may have been meant', async (t) => {
  t.same(await explain(t, ['api_kye']), {
    status: 66,
    text: 'secret\tapi_kye\nprincipal\tmarketdata\ndecision\tunknown\nreason\tno ref of that name is configured; did you mean "api_key"?\n',
    errors: '',
  });
  for (const name of ['constructor', 'other']) t.equal((await explain(t, [name])).status, 66, name);
});

t.test('a principal that no policy names may be a slip', async (t) => {
  const { text } = await explain(t, ['api_key', '--as', 'reserch']);
  t.match(text, 'lists only marketdata, research; did you mean "research"?\n');
});

t.test('--json gives these keys and no others, whatever the decision', async (t) => {
  const asked: [string[], number, object][] = [
    [
      ['api_key'],
      0,
      { decision: 'allowed', policy: 'access', store: 'red', backend: 'gopass', reason: 'access lists marketdata' },
    ],
    [
      ['master_key'],
      77,
      {
        decision: 'denied',
        policy: 'closed',
        store: 'red',
        backend: 'gopass',
        reason: 'closed lists nobody; add marketdata to allowed_principals of closed, secrets.yaml:10',
      },
    ],
    [
      ['other'],
      66,
      { decision: 'unknown', policy: null, store: null, backend: null, reason: 'no ref of that name is configured' },
    ],
  ];
  for (const [args, expected, rest] of asked) {
    const { status, text } = await explain(t, [...args, '--json']);
    t.equal(status, expected);
    t.same(JSON.parse(text), { secret: args[0], principal: 'marketdata', ...rest });
    t.same(Object.keys(JSON.parse(text) as object), [
      ...['secret', 'principal', 'decision', 'policy', 'store', 'backend', 'reason'],
    ]);
  }
});

t.test('the place is that of the file that the sections stand in', async (t) => {
  const launch = configuration(t, `own:\n${SECRETS.replace(/^/gm, '  ')}`);
  writeFile(
    launch.replace(/launch\.yaml$/, ''),
    'launch.yaml',
    'identity: { machine: bridge, environment: dev, role: marketdata }\nsecrets: secrets.yaml\nsecrets_section: own\nsocket: { path: s.sock }\n',
  );
  t.match((await explain(t, ['api_key', '--as', 'execution'], { launch })).text, 'secrets.yaml:9\n');
});

t.test('a name or a role that is no identifier ends with 64', async (t) => {
  t.match(await explain(t, ['Api-Key']), { status: 64, text: '', errors: /invalid_secret_name/ });
  t.match(await explain(t, ['api_key', '--as', 'Research']), { status: 64, text: '', errors: /--as ROLE/ });
});

t.test('a configuration in error ends with 78', async (t) => {
  const launch = configuration(t, 'stores: []\n');
  t.match(await explain(t, ['api_key'], { launch }), { status: 78, text: '', errors: /stores: must be a mapping/ });
});

t.test('nothing shows where a secret lies', async (t) => {
  for (const name of ['api_key', 'master_key', 'other']) {
    for (const further of [[], ['--json'], ['--as', 'execution']]) {
      t.notMatch((await explain(t, [name, ...further])).text, 'hidden');
    }
  }
});

const { file: strace, skip } = realStrace();

t.test('explain starts no process and opens nothing but the two files', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const binary = writeFile(folder, 'gopass', '#!/bin/sh\n', 0o700);
  const launch = configuration(t, SECRETS.replace('root: hidden/root', `root: hidden/root, binary: ${binary}`));
  const traced = async (args: readonly string[], status: number): Promise<string[]> => {
    const trace = join(folder, 'trace');
    const ended = await runProgram([...args, '--launch', launch], {
      under: [strace, '-f', '-o', trace, '-e', 'trace=%file,%process,%network', '-e', 'signal=none'],
    });
    t.equal(ended.status, status, ended.stderr);
    const lines = readFileSync(trace, 'latin1').split('\n');
    return lines.slice(lines.findIndex((line) => /\bopen(?:at)?\(/.test(line) && line.includes(`"${launch}"`)));
  };
  /** What begins before the files are read is the program itself; at its end it leaves what the tests measure. */
  const reaches = (line: string): boolean =>
    /^\d+ +(?:execve|fork|vfork|connect|open|openat|creat)/.test(line) &&
    !/"\/(?:etc|var\/run\/nscd)\//.test(line) && // the running user, as the system knows it
    !line.includes('"/proc/') &&
    !line.includes('/.tap/');

  for (const [args, status] of [
    [['explain', 'api_key'], 0],
    [['explain', 'master_key'], 77],
    [['explain', 'other'], 66],
  ] as const) {
    const lines = await traced(args, status);
    t.notMatch(lines.join('\n'), binary);
    t.notMatch(lines.join('\n'), 'hidden');
    const opened = lines.filter(reaches);
    t.match(opened.join('\n'), 'secrets.yaml');
    t.same(
      opened.filter((line) => !line.includes(`"${launch}"`) && !line.includes('/secrets.yaml"')),
      [],
      args.join(' '),
    );
  }
  const checked = await traced(['check'], 69);
  t.match(checked.join('\n'), `execve("${binary}"`, 'the same look finds what check starts');
});
