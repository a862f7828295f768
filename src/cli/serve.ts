import { loadConfiguration } from '../config/load.js';
import { startDaemon } from '../daemon.js';
import { type OptionValues, requiredOption } from './arguments.js';
import { EXIT } from './exit_status.js';
import type { Io } from './io.js';

export async function serve(io: Io, options: OptionValues): Promise<number> {
  const launchFile = requiredOption(options, 'launch', 'FILE');
  // From the first instant, so that a signal during the start stops the daemon and not just the process.
  const stopped = new Promise<void>((resolve) => {
    io.onSignal('SIGTERM', resolve);
    io.onSignal('SIGINT', resolve);
  });
  let reload = (): void => undefined; // during the start what is being read is new enough
  io.onSignal('SIGHUP', () => reload());
  const daemon = await startDaemon(() => loadConfiguration(launchFile, io.environment), {
    environment: io.environment,
    logFd: io.stdout.fd,
  });
  reload = () => daemon.reload();
  await stopped;
  await daemon.stop();
  return EXIT.ok;
}
