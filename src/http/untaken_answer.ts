import type { ServerResponse } from 'node:http';

/**
 * Closes the connection of a caller that does not take its answer in time, from when it is that answer's turn. Until
 * then the body stays in memory.
 */
export function closeWhenUntaken(response: ServerResponse, over: AbortSignal, timeoutMs: number): void {
  const begin = (): void => {
    const timer = setTimeout(() => response.socket?.destroy(), timeoutMs);
    over.addEventListener('abort', () => clearTimeout(timer), { once: true });
  };
  if (over.aborted) return;
  // Of pipelined answers only the one whose turn it is has the socket.
  if (response.socket === null) response.once('socket', begin);
  else begin();
}
