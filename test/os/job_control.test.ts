import t from 'tap';
import { isSentToGroup, type Job, readJob } from '../../src/os/job_control.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

const FOREGROUND: Job = { hasTerminal: true, isForeground: true, leadsSession: false };
const BACKGROUND: Job = { ...FOREGROUND, isForeground: false };
const WITHOUT: Job = { hasTerminal: false, isForeground: false, leadsSession: false };
const KEYS = ['SIGINT', 'SIGQUIT', 'SIGTSTP', 'SIGWINCH', 'SIGCONT'] as const;
const OTHERS = ['SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const;

t.test('in the foreground the signals of the keys reach the whole group, and no others', (t) => {
  for (const signal of KEYS) t.equal(isSentToGroup(signal, FOREGROUND, FOREGROUND), true, signal);
  for (const signal of [...OTHERS, 'SIGHUP'] as const)
    t.equal(isSentToGroup(signal, FOREGROUND, FOREGROUND), false, signal);
  t.end();
});

t.test('in the background and without a terminal every signal was meant for this process alone', (t) => {
  for (const job of [BACKGROUND, WITHOUT]) {
    for (const signal of [...KEYS, ...OTHERS, 'SIGHUP'] as const)
      t.equal(isSentToGroup(signal, job, job), false, signal);
  }
  t.end();
});

t.test('when the terminal is gone SIGHUP has reached the group, unless it was for the leader of the session', (t) => {
  t.equal(isSentToGroup('SIGHUP', FOREGROUND, WITHOUT), true);
  t.equal(isSentToGroup('SIGHUP', FOREGROUND, { ...WITHOUT, leadsSession: true }), false);
  t.end();
});

t.test('the system tells of a process what it is, whatever its name', (t) => {
  const folder = temporaryFolder(t);
  const read = (stat: string): Job => readJob(false, writeFile(folder, 'stat', stat));
  t.same(read('20 (a) b) S 1 20 10 34816 20 4194304 0'), {
    hasTerminal: true,
    isForeground: true,
    leadsSession: false,
  });
  t.same(read('20 (node) S 1 20 20 34816 30 4194304 0'), {
    hasTerminal: true,
    isForeground: false,
    leadsSession: true,
  });
  t.same(read('20 (node) S 1 20 20 0 -1 4194304 0'), { hasTerminal: false, isForeground: false, leadsSession: true });
  t.end();
});

t.test('where the system does not tell, a process with a terminal counts as in the foreground', (t) => {
  t.same(readJob(true, '/nonexistent/stat'), FOREGROUND);
  t.same(readJob(false, '/nonexistent/stat'), WITHOUT);
  t.end();
});
