import { linkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { auditPathProblem } from '../../src/config/audit_path.js';
import { writeConfig } from '../support/config_files.js';
import { writeFile } from '../support/temporary.js';

t.test('neither of the configuration files takes audit records, by whatever name', (t) => {
  const { folder, launchFile, secretsFile } = writeConfig(t);
  for (const [what, file] of Object.entries({ launch: launchFile, secrets: secretsFile })) {
    const names = ['symlink', 'link'].map((kind) => join(folder, `${what}.${kind}`));
    symlinkSync(file, names[0]!);
    linkSync(file, names[1]!);
    for (const path of [file, ...names]) {
      t.equal(auditPathProblem(path, launchFile, secretsFile), `is the ${what} file itself: name another`, path);
    }
  }
  t.equal(auditPathProblem(secretsFile, launchFile, undefined), null, 'where it is not known which the other one is');
  t.end();
});

t.test('any other file does, and one that is yet to be made', (t) => {
  const { folder, launchFile, secretsFile } = writeConfig(t);
  for (const path of [writeFile(folder, 'audit.jsonl', ''), join(folder, 'new.jsonl')]) {
    t.equal(auditPathProblem(path, launchFile, secretsFile), null, path);
  }
  t.end();
});
