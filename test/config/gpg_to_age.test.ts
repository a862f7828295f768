import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { ageKind } from '../../src/backends/age.js';
import { passKind } from '../../src/backends/pass.js';
import { type AgeStore, createAgeStore } from '../support/age_store.js';
import { createGopassStore, type GopassStore } from '../support/gopass_store.js';
import { realAge, realGpg, skipWithout } from '../support/real_component.js';

const SCRIPT = fileURLToPath(new URL('../../config/gpg-to-age', import.meta.url));
const skip = skipWithout(realGpg(), realAge());

interface Migration {
  readonly from: GopassStore;
  readonly to: AgeStore;
  readonly run: (recipient?: string) => { status: number | null; output: string };
}

async function migration(t: Test): Promise<Migration> {
  const from = createGopassStore(t, { initialise: false });
  const to = await createAgeStore(t);
  mkdirSync(from.folder, { recursive: true });
  return {
    from,
    to,
    run(recipient = to.recipient) {
      const { status, stdout, stderr } = spawnSync(SCRIPT, [from.folder, to.folder, recipient], {
        env: from.environment,
        encoding: 'utf8',
      });
      return { status, output: stdout + stderr };
    },
  };
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

t.test('every entry of a gpg store has the same value in the age store', { skip }, async (t) => {
  const { from, to, run } = await migration(t);
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const entries: Record<string, string | Buffer> = {
    'mxm/red/api key': 'value\n',
    'mxm/red/-n': 'one\r\ntwo\n\n',
    'x.gpg': everyByte,
    'ключ/🔑': 'é',
    'line\nending': Buffer.alloc(200_000, 'x'),
  };
  for (const [name, content] of Object.entries(entries)) from.insert(name, content);
  writeFileSync(join(from.folder, '.gpg-id'), 'x');
  mkdirSync(join(from.folder, '.git'));
  writeFileSync(join(from.folder, '.git/x.gpg'), 'no entry');
  t.same(run(), { status: 0, output: '5 entries\n' });
  t.same(
    filesIn(to.folder),
    Object.keys(entries)
      .map((name) => `${name}.age`)
      .sort(),
  );

  const options = { identity_file: to.identityFile };
  const age = ageKind.open({ name: 'a', backend: 'age', root: to.folder, options }, { environment: {} });
  const pass = passKind.open({ name: 'p', backend: 'pass', root: from.folder, options: {} }, from);
  for (const name of Object.keys(entries)) {
    const [old, young] = await Promise.all(
      [
        { backend: pass, root: from.folder },
        { backend: age, root: to.folder },
      ].map(async ({ backend, root }) => {
        const signal = AbortSignal.timeout(30_000);
        const answer = await backend.fetch({
          location: `${root}/${name}`,
          maxBytes: 1_048_576,
          signal,
        });
        return answer.ok ? answer.value.toString('latin1') : answer.reason;
      }),
    );
    t.equal(young === old, true, name);
    t.equal(statSync(join(to.folder, `${name}.age`)).mode & 0o777, 0o600);
  }
});

t.test('what gopass lists is encrypted: entries behind symlinks, and hidden ones', { skip }, async (t) => {
  const { from, to, run } = await migration(t);
  from.insert('folder/a', 'value');
  from.insert('folder/.hidden', 'value');
  symlinkSync('folder/a.gpg', join(from.folder, 'alias.gpg'));
  symlinkSync('folder', join(from.folder, 'other'));
  symlinkSync('nothing', join(from.folder, 'dangling.gpg'));
  t.same(run(), { status: 0, output: '5 entries\n' });
  t.same(filesIn(to.folder), ['alias.age', 'folder/.hidden.age', 'folder/a.age', 'other/.hidden.age', 'other/a.age']);
});

t.test(
  'a store that is not there, or cannot be read as a whole, is told and not taken for an empty one',
  { skip },
  async (t) => {
    const { from, to, run } = await migration(t);
    symlinkSync('.', join(from.folder, 'loop'));
    const { status, output } = run();
    t.equal(status, 66);
    t.match(output, `gpg-to-age: ${from.folder}: cannot be read as a whole`);
    const target = join(to.folder, 'target');
    const missing = spawnSync(SCRIPT, [join(from.folder, 'none'), target, to.recipient], { encoding: 'utf8' });
    t.equal(missing.status, 66);
    t.match(missing.stderr, 'is no directory');
    t.notOk(existsSync(target));
  },
);

t.test('a recipient that is none is told from an entry that cannot be decrypted', { skip }, async (t) => {
  const { from, to, run } = await migration(t);
  from.insert('a', 'x'.repeat(200_000));
  const { status, output } = run('age1none');
  t.equal(status, 73);
  t.match(output, 'gpg-to-age: a: cannot be encrypted');
  t.same(filesIn(to.folder), []);
});

t.test('an entry that cannot be decrypted ends it, and leaves nothing half done', { skip }, async (t) => {
  const { from, to, run } = await migration(t);
  from.insert('a', 'value');
  const whole = readFileSync(from.insert('b', 'value'));
  for (const bytes of [whole.subarray(0, 50), whole.subarray(0, -1), Buffer.from('plain text')]) {
    writeFileSync(join(from.folder, 'b.gpg'), bytes);
    const { status, output } = run();
    t.equal(status, 69);
    t.match(output, 'gpg-to-age: b: cannot be decrypted');
    t.same(filesIn(to.folder), ['a.age']);
    spawnSync('rm', [join(to.folder, 'a.age')]);
  }
});

t.test('what is there is never overwritten', { skip }, async (t) => {
  const { from, to, run } = await migration(t);
  from.insert('a', 'value');
  writeFileSync(join(to.folder, 'a.age'), 'precious');
  t.same(run(), { status: 73, output: 'gpg-to-age: a: is there already\n' });
  t.equal(readFileSync(join(to.folder, 'a.age'), 'utf8'), 'precious');
});

t.test('without a recipient it says how it is used', { skip }, (t) => {
  const { status, stderr } = spawnSync(SCRIPT, ['/nonexistent', '/nonexistent-either'], { encoding: 'utf8' });
  t.equal(status, 64);
  t.match(stderr, 'usage: gpg-to-age STORE TARGET RECIPIENT...');
  t.notOk(existsSync('/nonexistent-either'));
  t.end();
});
