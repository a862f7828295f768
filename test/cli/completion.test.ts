import t from 'tap';
import { run } from '../../src/cli/run.js';
import { COMMANDS } from '../../src/cli/commands.js';
import { SHELLS } from '../../src/cli/shells.js';
import { memoryIo } from '../support/io.js';

t.test('there is a script for every shell that names every command and every option', async (t) => {
  for (const shell of SHELLS) {
    const io = memoryIo();
    t.equal(await run(['completion', shell], io), 0);
    for (const { name, options } of COMMANDS.values()) {
      t.match(io.text(), name, shell);
      for (const option of Object.keys(options)) t.match(io.text(), option, `${shell}: ${option}`);
    }
  }
});
