import { loadConfiguration } from '../config/load.js';
import { ConfigError } from '../config/problems.js';
import { startDaemon } from '../daemon.js';
import { createTakenVariables } from '../os/environment.js';
import { takeInheritedSocket } from '../os/inherited_socket.js';
import { findServiceManager } from '../os/service_manager.js';
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
  const { environment, stdout } = io;
  const openWays = io.harden();
  const manager = findServiceManager(environment);
  const inherited = takeInheritedSocket(environment);
  const listensOn = inherited === null ? 'own' : 'inherited';
  const daemon = await startDaemon(() => loadConfiguration(launchFile, { listensOn, environment }), {
    environment,
    taken: createTakenVariables(environment),
    logFd: stdout.fd,
    inherited,
    manager,
    openWays,
  }).catch((error: unknown) => {
    if (error instanceof ConfigError) manager.status(error.message);
    throw error;
  });
  reload = () => daemon.reload();
  await Promise.race([stopped.then(() => daemon.stop()), daemon.left]);
  return EXIT.ok;
}
