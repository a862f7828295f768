// The tour's commands, as they are printed.
import t from 'tap';
import { builtClone, realGit, runLine, userEnvironment } from './support/clone.js';
import { readDocument } from './support/markdown.js';
import { type PrintedCommand, patternOf, printedCommands } from './support/printed_commands.js';
import { onPath, realComponent, skipWithout } from './support/real_component.js';
import { bootSystemd, filesWithProgram, realSystemd } from './support/systemd.js';

const tour = readDocument('docs/tour.md');
const curl = realComponent('curl', onPath('curl'));

function commandsUnder(heading: string): PrintedCommand[] {
  const consoles = tour.fences.filter(({ under, language }) => under === heading && language === 'console');
  return consoles.flatMap(({ text }) => printedCommands(text));
}

t.test(
  'from a clone to a policy that changes, everything prints what is printed',
  { skip: skipWithout(realGit(), curl) },
  (t) => {
    const copy = builtClone(t);
    const env = userEnvironment(t, copy);
    t.teardown(() => runLine('kill $(cat tour/pid) 2>/dev/null', copy, env));
    const commands = [...commandsUnder('A first daemon'), ...commandsUnder('Who may read what')];
    t.ok(commands.length > 10);
    for (const { command, output } of commands) t.match(runLine(command, copy, env).output, patternOf(output), command);
    t.end();
  },
);

t.test(
  'the same as a service of a real systemd, whatever umask root has',
  { skip: skipWithout(realSystemd(), curl) },
  async (t) => {
    const machine = await bootSystemd(t, filesWithProgram(t));
    const commands = commandsUnder('As a service');
    t.ok(commands.length > 10);
    for (const { command, output } of commands) {
      const line = `umask 077; cd /opt/mxm-secretsd; exec 2>&1; ${command.replace(/^curl /, 'curl --silent ')}`;
      const { stdout } = await machine.run('sh', '-c', line);
      t.match(stdout.replace(/\n$/, ''), patternOf(output), command);
    }
  },
);
