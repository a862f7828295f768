// The commands of docs/tools.md and of the runbook, as they are printed.
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { builtClone, realGit, runLine, userEnvironment } from './support/clone.js';
import { type Document, fenceOf, readDocument } from './support/markdown.js';
import { patternOf, printedCommands } from './support/printed_commands.js';
import { onPath, realComponent, skipWithout } from './support/real_component.js';
import { onTerminal, realScript } from './support/terminal.js';

const tools = readDocument('docs/tools.md');
const git = realGit();
const curl = realComponent('curl', onPath('curl'));
const bash = realComponent('bash', onPath('bash'));
const fish = realComponent('fish', onPath('fish'));
const mandoc = realComponent('mandoc', onPath('mandoc'));
const linters = process.env['MXM_TEST_MANIFEST_LINTERS'];
const linter = realComponent(
  'check-jsonschema',
  linters === undefined ? onPath('check-jsonschema') : join(linters, 'check-jsonschema'),
  ': name its folder with MXM_TEST_MANIFEST_LINTERS',
);

const root = t;

/** Runs what stands under these headings, in order. */
function replay(t: Test, document: Document, headings: readonly string[]): void {
  const copy = builtClone(root);
  const env = userEnvironment(t, copy);
  if (linters !== undefined) env['PATH'] = `${String(env['PATH'])}:${linters}`;
  t.teardown(() => runLine('kill $(cat run/pid) 2>/dev/null', copy, env));
  for (const heading of headings) {
    const consoles = document.fences.filter(({ under, language }) => under === heading && language === 'console');
    t.not(consoles.length, 0, heading);
    for (const { command, output } of consoles.flatMap(({ text }) => printedCommands(text))) {
      t.match(runLine(command, copy, env).output, patternOf(output), command);
    }
  }
}

t.test('a daemon, its signals, its metrics and its OpenAPI document', { skip: skipWithout(git, curl) }, (t) => {
  replay(t, tools, ['A daemon to ask', 'A command and its signals', 'Metrics', 'OpenAPI']);
  t.end();
});

t.test('the example of the runbook', { skip: git.skip }, (t) => {
  replay(t, readDocument('docs/runbook.md'), ['An example']);
  t.end();
});

t.test('the schemas', { skip: skipWithout(git, linter) }, (t) => {
  replay(t, tools, ['Schemas']);
  t.end();
});

t.test('what fish offers', { skip: skipWithout(git, fish) }, (t) => {
  replay(t, tools, ['Completion']);
  t.end();
});

t.test('what bash offers to who types', { skip: skipWithout(git, bash, realScript()) }, async (t) => {
  const copy = builtClone(root);
  const screen = onTerminal(t, ['bash', '--norc', '--noprofile', '-i'], {
    ...userEnvironment(t, copy),
    PS1: '$ ',
    INPUTRC: '/dev/null',
  });
  const [load = '', typed = '', offered = ''] = fenceOf(tools, 'Completion', 'text').split('\n');
  await screen.shows(/\$ $/);
  screen.type(`${load.slice(2)}; echo lo""aded\n`);
  await screen.shows(/loaded\n/);
  screen.type(typed.slice(2).replaceAll('⇥', '\t'));
  await screen.shows(new RegExp(`^${offered.replace(/ +/, ' +')} *$`, 'm'));
  screen.type('\x15exit 3\n');
  t.equal(await screen.status, 3, 'and leaves the line to be edited');
});

t.test('the manual', { skip: skipWithout(git, mandoc) }, (t) => {
  replay(t, tools, ['Manual']);
  t.end();
});
