import { loadConfiguration } from '../config/load.js';
import { ConfigError } from '../config/problems.js';
import { type Daemon, startDaemon } from '../daemon.js';
import { createTakenVariables } from '../os/environment.js';
import { InheritedSocketError, takeInheritedSocket } from '../os/inherited_socket.js';
import { findServiceManager } from '../os/service_manager.js';
import { SocketError } from '../os/socket_file.js';
import { type OptionValues, requiredOption } from './arguments.js';
import { EXIT } from './exit_status.js';
import type { Io } from './io.js';

/** After the socket is there: what the start has left to do is done, and who waited for it has asked. */
const SETTLED_MS = 200;

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
  const start = async (): Promise<Daemon> => {
    const inherited = takeInheritedSocket(environment);
    const listensOn = inherited === null ? 'own' : 'inherited';
    return startDaemon(() => loadConfiguration(launchFile, { listensOn, environment, runsHere: true }), {
      environment,
      taken: createTakenVariables(environment),
      logFd: stdout.fd,
      inherited,
      manager,
      openWays,
    });
  };
  const daemon = await start().catch((error: unknown) => {
    // The message of a defect may hold anything.
    if (error instanceof ConfigError || error instanceof InheritedSocketError || error instanceof SocketError)
      manager.status(error.message);
    throw error;
  });
  reload = () => daemon.reload();
  setTimeout(() => io.settle(), SETTLED_MS).unref();
  await Promise.race([stopped.then(() => daemon.stop()), daemon.left]);
  return EXIT.ok;
}
