import { spawnSync } from 'node:child_process';
import t from 'tap';
import { bashCompletion } from '../../../src/cli/completion/bash.js';
import { completionFolder, TYPED } from '../../support/completion.js';
import { onPath, realComponent } from '../../support/real_component.js';

const { file: bash, skip } = realComponent('bash', onPath('bash'));

/** Splits a line as readline does, which takes "=" for a word of its own. */
const ASK = `
source ./completion
complete -p mxm-secretsd
while IFS= read -r line; do
  words=$(sed 's/=/ = /g' <<<"$line")
  read -ra COMP_WORDS <<<"$words"
  [[ $line == *' ' ]] && COMP_WORDS+=('')
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  _mxm_secretsd
  (IFS=,; echo "[\${COMPREPLY[*]}]")
done
`;

t.test('bash completes what is typed', { skip }, (t) => {
  const { folder, env } = completionFolder(t, bashCompletion());
  const lines = Object.keys(TYPED);
  const { stdout, stderr, status } = spawnSync(bash, ['--norc', '--noprofile', '-c', ASK], {
    cwd: folder,
    env,
    input: lines.map((line) => `mxm-secretsd ${line}\n`).join(''),
    encoding: 'utf8',
  });
  t.same({ status, stderr }, { status: 0, stderr: '' });
  const [loaded, ...offered] = stdout.trimEnd().split('\n');
  t.equal(loaded, 'complete -F _mxm_secretsd mxm-secretsd');
  for (const [index, line] of lines.entries()) {
    // A slash after a folder is readline's, which is told that these are file names.
    const expected = TYPED[line]!.map((text) => text.replace(/\/$/, ''));
    const found = (offered[index] ?? '')
      .slice(1, -1)
      .split(',')
      .filter((text) => text !== '');
    t.same(found.filter((text) => text !== '--help' && text !== '--version').sort(), expected.sort(), line);
  }
  t.end();
});
