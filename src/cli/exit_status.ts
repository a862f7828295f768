import type { ErrorCode } from '../domain/errors.js';

/** Exit statuses, after sysexits(3). */
export const EXIT = {
  ok: 0,
  usage: 64,
  unavailable: 69,
  defect: 70,
  cannotCreate: 73,
  config: 78,
} as const;

/** The exit status of a command that was answered with a code. */
export const EXIT_OF_CODE: Readonly<Record<ErrorCode, number>> = {
  invalid_secret_name: 64,
  unknown_secret: 66,
  secret_not_found: 66,
  backend_unavailable: 69,
  backend_locked: 69,
  backend_failed: 69,
  invalid_request: 70,
  not_found: 70,
  method_not_allowed: 70,
  not_acceptable: 70,
  internal_error: 70,
  overloaded: 75,
  shutting_down: 75,
  audit_unavailable: 75,
  backend_timeout: 75,
  access_denied: 77,
  peer_denied: 77,
};
