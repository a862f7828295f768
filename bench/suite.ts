import { backendsBench } from './backends.js';
import type { Bench } from './bench.js';
import { envBench } from './env.js';
import { gopassBench } from './gopass.js';
import { growthBench } from './growth.js';
import { pythonBench } from './python.js';
import { startBench } from './start.js';

/** In the order of the page. */
export const SUITE: readonly Bench[] = [gopassBench, envBench, backendsBench, growthBench, startBench, pythonBench];
