/**
 * Lets a signal do to this process what it would do without a listener, once. Of one that stops the process it returns
 * when that goes on.
 */
export function byDefault(signal: NodeJS.Signals): void {
  const listeners = process.listeners(signal);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  for (const listener of listeners) process.on(signal, listener);
}
