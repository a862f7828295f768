import t from 'tap';
import { zshCompletion } from '../../../src/cli/completion/zsh.js';
import { completionFolder, TYPED } from '../../support/completion.js';
import { onPath, realComponent, skipWithout } from '../../support/real_component.js';
import { writeFile } from '../../support/temporary.js';
import { onTerminal, realScript } from '../../support/terminal.js';

const zsh = realComponent('zsh', onPath('zsh'));

/** Ctrl-T shows the line as it is, and begins a new one. */
const SETTINGS = `

setopt no_beep no_list_ambiguous
unset zle_bracketed_paste
autoload -Uz compinit
compinit -u -D
LOAD
show() { print -r -- "[[$BUFFER]]"; BUFFER=; zle reset-prompt }
zle -N show
bindkey '^T' show
cd FOLDER
echo re""ady
`;

/** How the script gets into the shell. */
const LOADED: Readonly<Record<string, string>> = {
  'by sourcing it': 'source FOLDER/completion',
  'from a folder of fpath': 'fpath=(FOLDER/functions $fpath); compinit -u -D',
};

for (const [how, load] of Object.entries(LOADED)) {
  t.test(
    `zsh completes what is typed, with the script loaded ${how}`,
    { skip: skipWithout(zsh, realScript()) },
    async (t) => {
      const { folder, env } = completionFolder(t, zshCompletion());
      writeFile(`${folder}/functions`, '_mxm-secretsd', zshCompletion());
      const settings = SETTINGS.replace('LOAD', load).replaceAll('FOLDER', folder);
      const shell = onTerminal(t, [zsh.file, '-f', '-i'], { ...env, COLUMNS: '200', PS1: 'zsh> ' });
      await shell.shows(/zsh> /);
      shell.type(`source ${writeFile(folder, 'settings', settings)}\n`);
      await shell.shows(/ready\n[^]*zsh> /);

      for (const [line, expected] of Object.entries(TYPED)) {
        const from = shell.shown().length;
        // The only way to go on is gone; of several there is a list.
        const key = expected.length === 1 ? '\t' : '\x04';
        shell.type(`mxm-secretsd ${line}${key}\x14`);
        const shows = (): RegExpExecArray | null => /\[\[(.*)\]\]/.exec(shell.shown().slice(from));
        await shell.until(() => shows() !== null);
        const [, buffer = ''] = shows()!;
        if (expected.length === 1) {
          const words = line.split(' ').slice(0, -1);
          t.match(buffer.replace(/[ =]$/, ''), ['mxm-secretsd', ...words, expected[0]].join(' '), line);
        } else {
          const shown = shell
            .shown()
            .slice(from)
            .replace(/zsh> .*/, '');
          for (const offer of expected) t.match(shown, offer, `${line}: ${offer}`);
        }
      }
      shell.type('exit\n');
      t.equal(await shell.status, 0);
    },
  );
}
