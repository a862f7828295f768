import { describeError, type ErrorCode, isErrorCode, isRetryable } from '../../src/domain/errors.js';
import { STATUS_OF } from '../../src/http/status.js';

/** An answer as it stood on the wire. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** What the HTTP parser refuses is closed without more. */
const BY_THE_PARSER: readonly number[] = [400, 408, 413, 417, 431];

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const HEAD_END = Buffer.from('\r\n\r\n');
const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [ -~]*$/;

/**
 * Takes one answer off the front of what has come; undefined while it is not whole. Throws on what is none. An answer to
 * HEAD says how long it would be and has no body: it is told by what follows.
 */
export function takeAnswer(
  received: Buffer,
  mayBeToHead = false,
): { readonly answer: WireAnswer; readonly rest: Buffer } | undefined {
  const end = received.indexOf(HEAD_END);
  if (end === -1) return undefined;
  const [statusLine = '', ...lines] = received.toString('latin1', 0, end).split('\r\n');
  const status = STATUS_LINE.exec(statusLine)?.[1];
  if (status === undefined) throw new Error(`no status line: ${JSON.stringify(statusLine)}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = /^([\w-]+): (.*)$/.exec(line) ?? [];
    if (name === '' || headers.has(name.toLowerCase())) throw new Error(`a header amiss: ${JSON.stringify(line)}`);
    headers.set(name.toLowerCase(), value);
  }
  const start = end + HEAD_END.length;
  // An interim answer has no body.
  const length = status === '100' ? 0 : Number(headers.get('content-length'));
  if (!Number.isSafeInteger(length)) throw new Error('an answer does not say its length');
  const follows = received.length === start || received.indexOf('HTTP/1.1 ', start) === start;
  const toHead = mayBeToHead && follows;
  if (!toHead && received.length < start + length) return undefined;
  const bodyEnd = toHead ? start : start + length;
  return {
    answer: { status: Number(status), headers, body: received.subarray(start, bodyEnd) },
    rest: received.subarray(bodyEnd),
  };
}

/** Says what an answer is by the contract: a problem's code, `ok`, or `parser`. Throws where it is not of the contract. */
export function contractCode({ status, headers, body }: WireAnswer): ErrorCode | 'ok' | 'parser' | 'to HEAD' {
  must(headers.get('cache-control') === 'no-store', 'Cache-Control: no-store');
  const id = headers.get('x-request-id');
  if (id === undefined) {
    must(BY_THE_PARSER.includes(status), `${status} may not come without X-Request-Id`);
    must(headers.get('connection') === 'close' && body.length === 0, 'a refusal of the parser is bare');
    return 'parser';
  }
  must(UUID.test(id), 'X-Request-Id is an id');
  const type = headers.get('content-type');
  if (type !== 'application/problem+json') {
    must(status === 200 || (status === 503 && type?.startsWith('application/json') === true), `${status} is a problem`);
    return 'ok';
  }
  must(headers.has('retry-after') === (status === 503), 'Retry-After with each 503');
  must((headers.get('allow') === 'GET') === (status === 405), 'Allow with each 405');
  if (body.length === 0) {
    must([404, 405].includes(status), `HEAD is never answered ${status}`);
    return 'to HEAD';
  }
  const problem = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
  const { code } = problem;
  if (!isErrorCode(code)) throw new Error(`no code of the contract: ${String(code)}`);
  must(code !== 'internal_error', 'a defect');
  const { title, text } = describeError(code);
  const expected = { title, status: STATUS_OF[code], detail: text, code, retryable: isRetryable(code), request_id: id };
  must(JSON.stringify(problem) === JSON.stringify(expected), `not the problem ${code}: ${JSON.stringify(problem)}`);
  must(status === STATUS_OF[code], `${code} with ${status}`);
  return code;
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}
