import { type Native, native } from './native.js';

/** Ways into the memory of this process that stay open where the platform does not let them be closed. */
export type OpenWay = 'core_dumps' | 'memory_of_process' | 'environment_block';

/**
 * Closes what it can for this process: no core is written when it dies, and no other process of its user can read its
 * memory. Gives what stays open.
 */
export function hardenProcess(kernel: Native | null = native): readonly OpenWay[] {
  const open: OpenWay[] = [];
  if (kernel?.forbidCores() !== true) open.push('core_dumps');
  if (kernel?.forbidReading() !== true) open.push('memory_of_process');
  if (kernel === null) open.push('environment_block');
  return open;
}
