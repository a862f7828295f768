import { type Logger, pino } from 'pino';
import type { LogLevel } from '../config/launch_config.js';

const OPTIONS = {
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (label: string) => ({ level: label }) },
} as const;

/** The log: JSON lines. Callers log events with plain fields, never an error object: its message and stack are not ours. */
export function createLogger(level: LogLevel, sink: { write(line: string): void }): Logger {
  return pino({ ...OPTIONS, level }, sink);
}

/** All that may be told of an unexpected error: its message and stack may hold anything. */
export function kindOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
