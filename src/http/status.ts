import type { ErrorCode } from '../domain/errors.js';

/** The HTTP status of every code. */
export const STATUS_OF: Readonly<Record<ErrorCode, number>> = {
  invalid_request: 400,
  invalid_secret_name: 400,
  access_denied: 403,
  peer_denied: 403,
  not_found: 404,
  unknown_secret: 404,
  secret_not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  internal_error: 500,
  backend_failed: 502,
  backend_unavailable: 503,
  backend_locked: 503,
  overloaded: 503,
  audit_unavailable: 503,
  shutting_down: 503,
  backend_timeout: 504,
};

/** Seconds that a caller should wait before it asks again, for every 503. */
export const RETRY_AFTER_SECONDS = 1;
