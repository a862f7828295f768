import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { armor } from 'age-encryption';
import fc from 'fast-check';
import t from 'tap';
import { decodeArmor } from '../../src/backends/age_armor.js';
import { createAgeStore, encrypted } from '../support/age_store.js';
import { realAge } from '../support/real_component.js';

const { skip } = realAge();

const now = (): Promise<void> => Promise.resolve();

/** In hexadecimal; undefined where the text is refused. */
async function decoded(text: string): Promise<string | undefined> {
  return (await decodeArmor(Buffer.from(text, 'latin1'), now))?.toString('hex');
}

function decodedByPackage(text: string): string | undefined {
  try {
    return Buffer.from(armor.decode(text)).toString('hex');
  } catch {
    return undefined;
  }
}

const BEGIN = '-----BEGIN AGE ENCRYPTED FILE-----';
const END = '-----END AGE ENCRYPTED FILE-----';

/** What may be done to an armored text, as its lines between the first and the last. */
const CHANGES: Readonly<Record<string, (lines: readonly string[]) => string>> = {
  'as it is': (lines) => whole(lines),
  'without a line ending at the end': (lines) => whole(lines).trimEnd(),
  'with CRLF': (lines) => whole(lines).replaceAll('\n', '\r\n'),
  'with LF and CRLF': (lines) => whole(lines).replace('\n', '\r\n'),
  'with CR alone': (lines) => whole(lines).replaceAll('\n', '\r'),
  'with CR before CRLF': (lines) => whole(lines).replaceAll('\n', '\r\r\n'),
  'with blanks around': (lines) => `\r\n\t ${whole(lines)} \n\n`,
  'with a no-break space before': (lines) => `\xa0${whole(lines)}`,
  'with the mark of UTF-8 before': (lines) => `\xef\xbb\xbf${whole(lines)}`,
  'with an empty line in it': (lines) => whole([lines[0]!, '', ...lines.slice(1)]),
  'with an empty line at the end': (lines) => whole([...lines, '']),
  'with blanks at the end of a line': (lines) => whole([`${lines[0]!} `, ...lines.slice(1)]),
  'with text before': (lines) => `text\n${whole(lines)}`,
  'with text after': (lines) => `${whole(lines)}text\n`,
  'with a second one after': (lines) => whole(lines) + whole(lines),
  'without a first line': (lines) => whole(lines).slice(BEGIN.length + 1),
  'without a last line': (lines) => `${BEGIN}\n${lines.join('\n')}\n`,
  'with a first line alone': () => BEGIN,
  'with nothing between': () => whole([]),
  'with lines of 60': (lines) => whole(lines.join('').match(/.{1,60}/g)!),
  'with lines of 68': (lines) => whole(lines.join('').match(/.{1,68}/g)!),
  'in one line': (lines) => whole([lines.join('')]),
  'without padding': (lines) => whole([...lines.slice(0, -1), lines.at(-1)!.replaceAll('=', '')]),
  'with too much padding': (lines) => whole([...lines.slice(0, -1), `${lines.at(-1)!}====`]),
  'with padding in the middle': (lines) => whole([`${lines[0]!.slice(0, 63)}=`, ...lines.slice(1)]),
  'with bits behind the end': (lines) => whole([...lines, 'QUF=']),
  'in the alphabet of URLs': (lines) => whole(lines.map((line) => line.replace(/[A-Z]/, '-').replace(/[a-z]/, '_'))),
  'with another character': (lines) => whole([lines[0]!.replace(/.$/, '*'), ...lines.slice(1)]),
  'with a character above 127': (lines) => whole([lines[0]!.replace(/.$/, '\xe4'), ...lines.slice(1)]),
  'with a NUL': (lines) => whole([lines[0]!.replace(/.$/, '\0'), ...lines.slice(1)]),
};

function whole(lines: readonly string[]): string {
  return [BEGIN, ...lines, END, ''].join('\n');
}

function linesOf(bytes: Uint8Array): string[] {
  return armor.encode(bytes).split('\n').slice(1, -2);
}

t.test('for all lengths and forms: what the package reads is read, and all else is refused', async (t) => {
  const taken = new Set<string>();
  for (const length of [95, 96, 97, 144, 190, 200]) {
    for (const [form, change] of Object.entries(CHANGES)) {
      const text = change(linesOf(randomBytes(length)));
      const expected = decodedByPackage(text);
      t.equal(await decoded(text), expected, `${form}, ${length} bytes`);
      if (expected !== undefined) taken.add(form);
    }
  }
  t.ok(taken.has('with LF and CRLF') && taken.has('with blanks around') && taken.size < 12);
});

t.test('for all changes of a character: the package says the same', async () => {
  const text = whole(linesOf(randomBytes(150)));
  const pieces = ['', '\r', '\n', '\r\n', ' ', '=', '-', '_', 'A', '/', '+', 'z', '\0', '\x85', '\xa0', '\xff'];
  const change = fc.tuple(fc.nat(text.length), fc.nat(2), fc.constantFrom(...pieces));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      let changed = text;
      for (const [at, removed, put] of changes) changed = changed.slice(0, at) + put + changed.slice(at + removed);
      return (await decoded(changed)) === decodedByPackage(changed);
    }),
    { numRuns: 3_000 },
  );
});

t.test('in a long text others have their turn, and may end it', async (t) => {
  const lines = linesOf(randomBytes(48 * 10_000));
  for (const text of [whole(lines), `${' '.repeat(1_000_000)}${whole([])}`, whole([]) + ' '.repeat(1_000_000)]) {
    let turns = 0;
    const end = (): Promise<void> => {
      turns += 1;
      return turns < 10 ? Promise.resolve() : Promise.reject(new Error('over'));
    };
    await t.rejects(decodeArmor(Buffer.from(text), end), { message: 'over' });
  }
});

t.test('what the real age opens of these forms is read', { skip }, async (t) => {
  const store = await createAgeStore(t);
  const binary = Buffer.from(await encrypted('value', store.recipient));
  const opened = new Set<string>();
  for (const [form, change] of Object.entries(CHANGES)) {
    const text = change(linesOf(binary));
    const input = Buffer.from(text, 'latin1');
    const real = spawnSync('age', ['-d', '-i', store.identityFile], { input });
    if (real.stdout.toString() !== 'value') continue;
    opened.add(form);
    t.equal(await decoded(text), binary.toString('hex'), form);
  }
  t.ok(opened.has('with LF and CRLF'));
});
