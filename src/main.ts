// The only file that touches the arguments, the environment, the signals and the exit of the process.
import type { Interface } from 'node:readline';
import { isatty } from 'node:tty';
import { EXIT } from './cli/exit_status.js';
import { type Input, type Io, type Output, OutputError } from './cli/io.js';
import { run } from './cli/run.js';
import { byDefault } from './os/default_action.js';
import { hardenProcess } from './os/hardening.js';
import { releaseProgramPages } from './os/program_pages.js';

/** A message may hold anything, so that of a defect only its kind and its place are told. */
function reportDefect(error: unknown): never {
  const lines = [`mxm-secretsd: internal_error: ${error instanceof Error ? error.name : typeof error}`];
  if (error instanceof Error) {
    const stack = String(error.stack).replace(error.message, '');
    lines.push(...stack.split('\n').filter((line) => /^ {4}at .*:\d+:\d+\)?$/.test(line)));
  }
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exit(EXIT.defect);
}

process.on('uncaughtException', reportDefect);
process.on('unhandledRejection', reportDefect);
// Without a listener it opens Node's inspector, to whoever can reach its port.
process.on('SIGUSR1', () => undefined);
// One that has come while all of this was being loaded has opened it, or a thread of Node is about to.
for (const afterMs of [0, 100, 1_000]) setTimeout(() => void closeInspector(), afterMs).unref();

/** `process._debugEnd` is what the module calls `close`; the module itself is half a megabyte. */
async function closeInspector(): Promise<void> {
  const { _debugEnd: close } = process as { _debugEnd?: () => void };
  /* c8 ignore next 2 */
  if (close === undefined)
    (await import('node:inspector')).close(); // no Node needs it yet
  else close();
}

/** The stream is made when it is first written to: the daemon writes to the descriptor itself. */
function output(fd: number, stream: () => NodeJS.WriteStream): Output {
  return {
    fd,
    isTTY: isatty(fd),
    write: (bytes) =>
      new Promise((resolve, reject) => {
        stream().once('error', () => undefined); // told by the callback
        stream().write(bytes, (error) => {
          if (error) reject(new OutputError(`standard output cannot be written: ${error.message}`));
          else resolve();
        });
      }),
  };
}

/** Made when a line is asked for. The terminal is left as it is, so that Ctrl-C and the rest do what they do. */
let input: Interface | undefined;

const stdin: Input = {
  isTTY: isatty(0),
  async readLine() {
    // Loaded when it is asked for: the daemon never reads a line.
    /* c8 ignore next */
    const { createInterface } = await import('node:readline'); // the measuring counts a branch in it that is none
    input ??= createInterface({ input: process.stdin, terminal: false });
    const line = await input[Symbol.asyncIterator]().next();
    return line.done === true ? null : line.value;
  },
};

const stderr = output(2, () => process.stderr);

const io: Io = {
  environment: process.env,
  stdin,
  stdout: output(1, () => process.stdout),
  stderr: { ...stderr, write: (bytes) => stderr.write(bytes).catch(() => undefined) },
  harden: () => hardenProcess(),
  settle: () => releaseProgramPages(),
  onSignal: (signal, handle) => void process.on(signal, handle),
  byDefault,
};

// Until the command has said how it ended: a process that has nothing left to wait for must not end as if all were well.
process.exitCode = EXIT.defect;
// Not awaited: what the bundle is made of cannot wait while it is loaded.
// At its end by itself Node first gives signals back what they do by default: a second SIGTERM would look like a crash.
void run(process.argv.slice(2), io).then((status) => process.exit(status));
