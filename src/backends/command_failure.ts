import { type BackendFailure, failure } from './backend.js';
import type { CommandEnd } from './command.js';

/** What it means that a program did not end by itself; how it failed by itself is the backend's to tell. */
export function failureOfCommand(ended: Exclude<CommandEnd, { end: 'succeeded' } | { end: 'failed' }>): BackendFailure {
  switch (ended.end) {
    case 'missing':
      return failure('backend_unavailable', 'binary_missing');
    case 'cannot_start':
    case 'no_memory': // as where gopass itself has none
      return failure('backend_unavailable', 'cannot_start');
    case 'unproven': // of what is decrypted, which alone asks for a proof
      return failure('backend_failed', 'decrypt_failed');
    case 'killed_by_signal':
      return failure('backend_failed', 'killed_by_signal');
    case 'too_large':
      return failure('backend_failed', 'value_too_large');
    case 'aborted':
      return failure('backend_timeout', 'timeout');
  }
}
