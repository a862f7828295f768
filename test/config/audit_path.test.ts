import { execFileSync } from 'node:child_process';
import { linkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { auditPathProblem, type AuditPathSurroundings } from '../../src/config/audit_path.js';
import { writeConfig, type WrittenConfig } from '../support/config_files.js';
import { rawServer } from '../support/scripted_server.js';
import { type Ending, temporaryFolder, writeFile } from '../support/temporary.js';

interface Audited extends WrittenConfig {
  readonly problem: (path: string, rest?: Partial<AuditPathSurroundings>) => string | null;
}

/** A configuration, and what is wrong with an audit file beside it. */
function audited(t: Ending): Audited {
  const files = writeConfig(t);
  return { ...files, problem: (path, rest) => auditPathProblem(path, { ...files, runsHere: true, ...rest }) };
}

t.test('neither of the configuration files takes audit records, by whatever name', (t) => {
  const { folder, launchFile, secretsFile, problem } = audited(t);
  for (const [what, file] of Object.entries({ launch: launchFile, secrets: secretsFile })) {
    const names = ['symlink', 'link'].map((kind) => join(folder, `${what}.${kind}`));
    symlinkSync(file, names[0]!);
    linkSync(file, names[1]!);
    for (const path of [file, ...names]) {
      t.equal(problem(path), `is the ${what} file itself: name another`, path);
    }
  }
  t.equal(problem(secretsFile, { secretsFile: undefined }), null, 'where it is not known which the other one is');
  t.end();
});

t.test('any other file takes them, one that is yet to be made, a FIFO and a device', (t) => {
  const { folder, problem } = audited(t);
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  writeFile(folder, 'audit.jsonl', '');
  for (const path of [...['audit.jsonl', 'new', 'fifo'].map((name) => join(folder, name)), '/dev/full']) {
    t.equal(problem(path), null, path);
  }
  t.end();
});

t.test('a folder and a socket do not, but who knows where a link to a socket leads another process', async (t) => {
  const { folder, problem } = audited(t);
  t.equal(problem(folder), 'is a folder: name a file in it');
  const socket = await rawServer(t, (client) => client.end());
  t.equal(problem(socket), 'is no file that records can be appended to: name another');
  symlinkSync(socket, join(folder, 'link'));
  t.equal(problem(join(folder, 'link')), null);
});

t.test('a folder that is missing is told where the daemon is to run, and not elsewhere', (t) => {
  const { folder, launchFile, problem } = audited(t);
  const missing = join(folder, 'missing');
  t.equal(
    problem(join(missing, 'a')),
    `stands in a folder that is not there (${missing}): make it, or name another file`,
  );
  t.equal(problem(join(missing, 'a'), { runsHere: false }), null);
  t.equal(problem(join(launchFile, 'a')), `stands in what is no folder (${launchFile}): name another file`);
  t.end();
});

t.test('what this user cannot look at may be all right for that of the daemon', (t) => {
  const { problem } = audited(t);
  const loop = join(temporaryFolder(t), 'loop');
  symlinkSync('loop', loop);
  t.equal(problem(loop), null);
  t.equal(problem(join(loop, 'a')), null);
  t.end();
});
