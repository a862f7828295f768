import { ConfigError } from '../config/problems.js';
import { InheritedSocketError } from '../os/inherited_socket.js';
import { MemoryFolderError } from '../os/memory_folder.js';
import { SocketError } from '../os/socket_file.js';
import { VERSION } from '../version.js';
import { parseCommandLine, UsageError } from './arguments.js';
import { COMMANDS } from './commands.js';
import { EXIT } from './exit_status.js';
import { commandHelp, generalHelp } from './help.js';
import { complain, type Io, OutputError } from './io.js';

/** Runs one command line and gives its exit status. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  try {
    const invocation = parseCommandLine(argv);
    switch (invocation.kind) {
      case 'version':
        await io.stdout.write(`mxm-secretsd ${VERSION}\n`);
        return EXIT.ok;
      case 'help':
        await io.stdout.write(invocation.command === undefined ? generalHelp() : commandHelp(invocation.command));
        return EXIT.ok;
      case 'run':
        return await invocation.command.run(io, invocation.options, invocation.operands, invocation.rest);
    }
  } catch (error) {
    if (error instanceof UsageError) {
      await complain(io, 'mxm-secretsd', error.message);
      const [first = ''] = argv;
      const page = COMMANDS.has(first) ? `${first} --help` : '--help';
      await io.stderr.write(`mxm-secretsd ${page} tells what there is.\n`);
      return EXIT.usage;
    }
    if (error instanceof ConfigError) {
      await io.stderr.write(`${error.message}\n`);
      return EXIT.config;
    }
    if (error instanceof InheritedSocketError) {
      await complain(io, 'mxm-secretsd', error.message);
      return EXIT.config;
    }
    if (error instanceof SocketError || error instanceof MemoryFolderError) {
      await complain(io, 'mxm-secretsd', error.message);
      return EXIT.cannotCreate;
    }
    if (error instanceof OutputError) {
      await complain(io, 'mxm-secretsd', error.message);
      return EXIT.defect;
    }
    throw error;
  }
}
