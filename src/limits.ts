import { availableParallelism } from 'node:os';
import type { GateLimits } from './gate.js';
import type { RetrievalLimits } from './retrieve.js';

export type Limits = GateLimits & RetrievalLimits;

export const DEFAULT_LIMITS: Limits = Object.freeze({
  backendConcurrency: availableParallelism(),
  queue: 64,
  backendTimeoutMs: 5_000,
  maxValueBytes: 1_048_576,
});
