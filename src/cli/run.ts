import { ConfigError } from '../config/problems.js';
import { InheritedSocketError } from '../os/inherited_socket.js';
import { MemoryFolderError } from '../os/memory_folder.js';
import { SocketError } from '../os/socket_file.js';
import { VERSION } from '../version.js';
import { parseCommandLine, UsageError } from './arguments.js';
import { COMMANDS } from './commands.js';
import { EXIT } from './exit_status.js';
import { commandHelp, generalHelp } from './help.js';
import { type Io, OutputError } from './io.js';

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
      const [first = ''] = argv;
      const page = COMMANDS.has(first) ? `${first} --help` : '--help';
      await io.stderr.write(`mxm-secretsd: ${error.message}\nmxm-secretsd ${page} tells what there is.\n`);
      return EXIT.usage;
    }
    if (error instanceof ConfigError) {
      await io.stderr.write(`${error.message}\n`);
      return EXIT.config;
    }
    if (error instanceof InheritedSocketError) {
      await io.stderr.write(`mxm-secretsd: ${error.message}\n`);
      return EXIT.config;
    }
    if (error instanceof SocketError || error instanceof MemoryFolderError) {
      await io.stderr.write(`mxm-secretsd: ${error.message}\n`);
      return EXIT.cannotCreate;
    }
    if (error instanceof OutputError) {
      await io.stderr.write(`mxm-secretsd: ${error.message}\n`);
      return EXIT.defect;
    }
    throw error;
  }
}
