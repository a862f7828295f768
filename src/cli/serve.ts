import { loadConfiguration } from '../config/load.js';
import { startDaemon } from '../daemon.js';
import { type OptionValues, requiredOption } from './arguments.js';
import { EXIT } from './exit_status.js';
import type { Io } from './io.js';

export async function serve(io: Io, options: OptionValues): Promise<number> {
  const configuration = loadConfiguration(requiredOption(options, 'launch', 'FILE'));
  // Listened for before the start, so that a signal during it stops the daemon and not just the process.
  const stopped = io.untilSignal('SIGTERM', 'SIGINT');
  const daemon = await startDaemon(configuration, { environment: io.environment, logFd: io.stdout.fd });
  await stopped;
  await daemon.stop();
  return EXIT.ok;
}
