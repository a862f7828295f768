import { BACKEND_FAULTS } from './backends.js';
import { CALLER_FAULTS } from './callers.js';
import { DAEMON_FAULTS } from './daemons.js';
import type { Fault } from './fault.js';
import { SYSTEM_FAULTS } from './system.js';

/** All faults. Those that wait for a bound of 30 s come first: the others run meanwhile. */
export const SUITE: readonly Fault[] = [...CALLER_FAULTS, ...BACKEND_FAULTS, ...SYSTEM_FAULTS, ...DAEMON_FAULTS];
