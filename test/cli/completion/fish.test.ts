import { spawnSync } from 'node:child_process';
import t from 'tap';
import { fishCompletion } from '../../../src/cli/completion/fish.js';
import { completionFolder, TYPED } from '../../support/completion.js';
import { onPath, realComponent } from '../../support/real_component.js';

const { file: fish, skip } = realComponent('fish', onPath('fish'));

const ASK = `
source ./completion
while read -l -z line
  set -l offered (complete -C "mxm-secretsd $line" | string split -f 1 \\t)
  echo "["(string join , -- $offered)"]"
end
`;

t.test('fish completes what is typed', { skip }, (t) => {
  const { folder, env } = completionFolder(t, fishCompletion());
  const lines = Object.keys(TYPED);
  const { stdout, stderr, status } = spawnSync(fish, ['--no-config', '-c', ASK], {
    cwd: folder,
    env,
    input: lines.map((line) => `${line}\0`).join(''),
    encoding: 'utf8',
  });
  t.same({ status, stderr }, { status: 0, stderr: '' });
  const offered = stdout.trimEnd().split('\n');
  for (const [index, line] of lines.entries()) {
    const found = (offered[index] ?? '').slice(1, -1).split(',');
    t.same(found.filter((text) => text !== '').sort(), [...TYPED[line]!].sort(), line);
  }
  t.end();
});
