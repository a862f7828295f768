import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { watchFolder } from '../../src/os/cleanup_watcher.js';
import { temporaryFolder } from '../support/temporary.js';
import { until } from '../support/until.js';

t.test('the folder is removed when the process that has it watched is gone', async (t) => {
  const folder = join(temporaryFolder(t), "it's a folder");
  mkdirSync(folder);
  const watcher = watchFolder(folder);
  watcher.end(); // what it sees is the same
  await until(() => !existsSync(folder));
});

t.test('but not before the command is gone as well', async (t) => {
  const folder = join(temporaryFolder(t), 'f');
  mkdirSync(folder);
  const command = spawn('sleep', ['1000']);
  const watcher = watchFolder(folder);
  watcher.waitFor(command.pid!);
  watcher.end();
  t.ok(existsSync(folder));
  command.kill('SIGKILL');
  await once(command, 'close');
  await until(() => !existsSync(folder));
});

t.test('where there is no shell nothing is watched, and nothing breaks', async (t) => {
  const folder = temporaryFolder(t);
  const watcher = watchFolder(folder, '/nonexistent/sh');
  watcher.waitFor(1);
  await new Promise((resolve) => setImmediate(resolve));
  watcher.end();
  t.ok(existsSync(folder));
});
