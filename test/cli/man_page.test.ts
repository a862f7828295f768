import { spawnSync } from 'node:child_process';
import t from 'tap';
import { COMMANDS } from '../../src/cli/commands.js';
import { EXIT_MEANINGS } from '../../src/cli/exit_status.js';
import { optionUsage, usageOf } from '../../src/cli/help.js';
import { manPage } from '../../src/cli/man_page.js';
import { VERSION } from '../../src/version.js';
import { onPath, realComponent } from '../support/real_component.js';

const mandoc = realComponent('mandoc', onPath('mandoc'));

t.test('the page names every command with its options, and every exit status', { skip: mandoc.skip }, (t) => {
  const { stdout } = spawnSync(mandoc.file, ['-T', 'utf8', '-O', 'width=1000'], { input: manPage(), encoding: 'utf8' });
  const text = stdout.replace(/.\x08/g, ''); // how a terminal prints fat letters
  for (const command of COMMANDS.values()) {
    t.match(text, `   ${usageOf(command)}\n`);
    const summary = `${command.summary.charAt(0).toUpperCase()}${command.summary.slice(1)}.`;
    t.match(text, summary);
    for (const [name, option] of Object.entries(command.options)) {
      t.match(text, optionUsage(name, option));
      t.match(text, option.help);
    }
  }
  for (const [status, meaning] of EXIT_MEANINGS)
    t.match(text.replace(/ +/g, ' '), new RegExp(`${status}\\s+${meaning}`));
  t.match(text, `mxm-secretsd ${VERSION}`);
  t.end();
});

t.test('mandoc finds nothing wrong with the page', { skip: mandoc.skip }, (t) => {
  const { stdout, stderr } = spawnSync(mandoc.file, ['-T', 'lint', '-W', 'warning'], {
    input: manPage(),
    encoding: 'utf8',
  });
  // A date would make each build another.
  const found = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !line.includes('missing date'));
  t.same(found, []);
  t.end();
});

t.test('the page is plain ASCII, so that every reader of it sees the same', (t) => {
  t.match(manPage(), /^[\n -~]+$/);
  t.match(manPage(), '[VAR=NAME\\[u2026]]');
  t.notMatch(manPage(), /^['.](?!\\"|(?:TH|SH|SS|TP|B|BR|br)\b)/m, 'no line of text is taken for a request');
  t.end();
});
