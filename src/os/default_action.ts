/**
 * Lets a signal do to this process what it would do without a listener, once. Of one that stops the process it returns
 * when that goes on.
 */
/* c8 ignore start: what measures the coverage begins anew when a process sends itself a signal */
export function byDefault(signal: NodeJS.Signals): void {
  const listeners = process.listeners(signal);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  for (const listener of listeners) process.on(signal, listener);
}
/* c8 ignore stop */
