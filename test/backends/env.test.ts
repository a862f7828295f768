import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import type { Backend, BackendAnswer } from '../../src/backends/backend.js';
import { envKind, variableName, variablesOf } from '../../src/backends/env.js';
import { checkSecrets } from '../../src/config/secrets_config.js';
import { NODE } from '../support/node.js';

const STORE = { name: 'demo', backend: 'env', root: 'mxm/dev', options: {} };

function open(environment: Record<string, string | undefined>, kind = envKind): Backend {
  return kind.open(STORE, { environment });
}

async function fetch(backend: Backend, location: string): Promise<BackendAnswer> {
  return backend.fetch({ location, maxBytes: 1_000, signal: new AbortController().signal });
}

async function valueIn(environment: Record<string, string | undefined>, location: string): Promise<string> {
  const answer = await fetch(open(environment), location);
  return answer.ok ? answer.value.toString() : `${answer.code}/${answer.reason}`;
}

t.test('a location names a variable: upper case, - and / become _', (t) => {
  t.equal(variableName('mxm/dev/api-key'), 'MXM_DEV_API_KEY');
  t.equal(variableName('Mixed_1/a--b//c'), 'MIXED_1_A__B__C');
  t.end();
});

t.test('every location of allowed characters names a variable that a shell can set', (t) => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z0-9_/-]+$/), (location) => /^[A-Z0-9_]+$/.test(variableName(location))),
  );
  t.end();
});

t.test('other characters are refused in root and path', (t) => {
  for (const text of ['mxm/dev', 'A-b_9', '']) {
    t.equal(envKind.checkRoot(text), null);
    t.equal(envKind.checkPath(text), null);
  }
  for (const text of ['a.b', 'a b', 'a=b', 'ä', 'a\n', 'a\0b', 'ſ', '$A']) {
    t.match(envKind.checkRoot(text), /may hold only/);
    t.match(envKind.checkPath(text), /may hold only/);
    t.notMatch(envKind.checkPath('a.very.private.path'), 'private', 'the message does not quote it');
  }
  t.end();
});

t.test('a store of this backend has no keys of its own, and its refs no fields', (t) => {
  t.same(envKind.storeKeys, {});
  t.equal(envKind.fields, false);
  t.end();
});

t.test('the value is the variable without its trailing line endings', async (t) => {
  t.equal(await valueIn({ MXM_DEV_KEY: ' a\r\nb \n\r\n' }, 'mxm/dev/key'), ' a\r\nb ');
  t.equal(await valueIn({ MXM_DEV_KEY: 'ü🔑' }, 'mxm/dev/key'), 'ü🔑');
  t.equal(await valueIn({ MXM_DEV_KEY: '' }, 'mxm/dev/key'), '');
});

t.test('a variable that is not set is no entry', async (t) => {
  t.equal(await valueIn({ OTHER: 'x' }, 'mxm/dev/key'), 'secret_not_found/entry_missing');
  t.equal(await valueIn({ MXM_DEV_KEY: undefined }, 'mxm/dev/key'), 'secret_not_found/entry_missing');
});

t.test('a variable is looked up anew each time: nothing is kept', async (t) => {
  const environment: Record<string, string> = { MXM_DEV_KEY: 'one' };
  const backend = open(environment);
  const first = await fetch(backend, 'mxm/dev/key');
  if (first.ok) first.value.fill(0);
  environment['MXM_DEV_KEY'] = 'two';
  const second = await fetch(backend, 'mxm/dev/key');
  t.equal(second.ok && second.value.toString(), 'two');
});

t.test('filling a value with zeros does not touch the next one', async (t) => {
  const backend = open({ MXM_DEV_KEY: 'value' });
  const first = await fetch(backend, 'mxm/dev/key');
  if (first.ok) first.value.fill(0);
  const second = await fetch(backend, 'mxm/dev/key');
  t.equal(second.ok && second.value.toString(), 'value');
});

t.test('a store of variables is always ready', async (t) => {
  t.same(await open({}).probe(new AbortController().signal), { ok: true });
});

t.test('a variable that is not UTF-8 comes with the bytes that it was set to', (t) => {
  const module = new URL('../../src/backends/env.ts', import.meta.url).href;
  const source = `
    const { envKind } = await import('${module}');
    const backend = envKind.open({ name: 'demo', backend: 'env', root: 'raw', options: {} }, { environment: process.env });
    const answer = await backend.fetch({ location: 'raw/key', maxBytes: 100, signal: new AbortController().signal });
    process.stdout.write(answer.value.toString('hex'));
  `;
  const node = [...NODE, '--input-type=module', '--eval', source];
  const printed = execFileSync('sh', ['-c', 'RAW_KEY=$(printf "a\\377\\376b") exec "$@"', 'sh', ...node]);
  t.equal(printed.toString(), '61fffe62');
  t.end();
});

t.test('the start of the process tells nothing about an environment that says otherwise', async (t) => {
  // U+FFFD as such, in an environment that is not that of the process or has changed since its start.
  t.equal(await valueIn({ PATH: 'a\ufffdb' }, 'path'), 'a\ufffdb');
  t.equal(await valueIn({ MXM_NOT_AT_START: 'a\ufffdb' }, 'mxm/not-at-start'), 'a\ufffdb');
});

t.test('where the platform does not tell the bytes, the text is what there is', async (t) => {
  const readFileSync = (): never => {
    throw new Error('ENOENT');
  };
  const { envKind: kind } = await t.mockImport<{ envKind: typeof envKind }>('../../src/backends/env.js', {
    'node:fs': { ...fs, readFileSync },
  });
  const answer = await fetch(open({ MXM_DEV_KEY: 'a\ufffdb' }, kind), 'mxm/dev/key');
  t.equal(answer.ok && answer.value.toString(), 'a\ufffdb');
});

t.test('a variable that was taken is found where it was taken to, as a copy', async (t) => {
  const own = Buffer.from([0xff, 0x61, 0x0a]);
  const taken = { take: () => undefined, valueOf: (name: string) => (name === 'MXM_DEV_KEY' ? own : undefined) };
  const backend = envKind.open(STORE, { environment: { MXM_DEV_KEY: 'other', MXM_DEV_B: 'b' }, taken });
  const answer = await fetch(backend, 'mxm/dev/key');
  if (!answer.ok) throw new Error(answer.code);
  t.same([...answer.value], [0xff, 0x61], 'without its line ending');
  answer.value.fill(0);
  t.same([...own], [0xff, 0x61, 0x0a]);
  t.match(await fetch(backend, 'mxm/dev/b'), { ok: true, value: Buffer.from('b') });
});

t.test('the variables of env stores are those that their refs name', (t) => {
  const problems: string[] = [];
  const registries = checkSecrets(
    {
      stores: { dev: { backend: 'env', root: 'mxm/dev' }, red: { backend: 'gopass', root: 'mxm/red' } },
      refs: {
        a: { store: 'dev', path: 'api-key', policy: 'p' },
        b: { store: 'red', path: 'api-key', policy: 'p' },
        c: { store: 'dev', path: 'other', policy: 'p' },
      },
      policies: { p: { allowed_principals: [] } },
    },
    '',
    (pointer, message) => problems.push(pointer + message),
  );
  t.same(problems, []);
  t.same(registries && variablesOf(registries), ['MXM_DEV_API_KEY', 'MXM_DEV_OTHER']);
  t.end();
});
