import type { ErrorCode } from '../domain/errors.js';

/** Exit statuses, after sysexits(3) and, from 126 on, the shells. */
export const EXIT = {
  ok: 0,
  expectation: 1,
  usage: 64,
  data: 65,
  unavailable: 69,
  defect: 70,
  cannotCreate: 73,
  config: 78,
  cannotExecute: 126,
  noCommand: 127,
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

/** What each exit status means, for the manual. */
export const EXIT_MEANINGS: ReadonlyMap<number, string> = new Map([
  [0, 'all well'],
  [1, 'an expectation of check --expect does not hold'],
  [64, 'wrong usage, or a name that is no identifier'],
  [
    65,
    'a value that no environment variable can hold: use exec --file; or what exec cannot hand on, as it is not UTF-8',
  ],
  [66, 'there is no such secret'],
  [69, 'no daemon, something else at the socket, or a store that is not ready'],
  [70, 'a defect, or stdout cannot be written'],
  [73, 'the socket or a file cannot be made: something is there, or the permission is missing'],
  [75, 'a passing state: ask later'],
  [77, 'denied'],
  [78, 'the configuration is in error or cannot be read; the errors are on stderr and nothing is on stdout'],
  [126, 'the command of exec cannot be executed'],
  [127, 'there is no such command for exec'],
]);
