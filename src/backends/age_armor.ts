const BEGIN = '-----BEGIN AGE ENCRYPTED FILE-----';
const END = '-----END AGE ENCRYPTED FILE-----';

const LINE_LENGTH = 64;
const LINE_BYTES = 48;
const LINES_AT_ONCE = 1_000;
const BLANKS_AT_ONCE = 65_536;

const LF = 0x0a;
const CR = 0x0d;

/**
 * The bytes of an armored age file, as strict as the age-encryption package about their form: blanks may stand before
 * and after, and lines may end with CRLF. The package decodes a file in one go and slowly; here `betweenPieces` is
 * awaited now and then, and may throw. Undefined where the file is malformed.
 */
export async function decodeArmor(file: Buffer, betweenPieces: () => Promise<void>): Promise<Buffer | undefined> {
  const text = await trimmed(file, betweenPieces);
  const lines = linesOf(text);
  if (lines.next().value !== BEGIN) return undefined;
  const binary = Buffer.allocUnsafeSlow(Math.ceil((text.length * 3) / 4));
  let [length, count] = [0, 0];
  let [wasShort, isOver] = [false, false];
  for (const line of lines) {
    if (isOver) return undefined;
    if (line === END) {
      isOver = true;
      continue;
    }
    if (wasShort || line === '' || line.length > LINE_LENGTH) return undefined;
    const written = binary.write(line, length, 'base64');
    // Node reads much that is no base64; only what is looks the same again.
    if (binary.toString('base64', length, length + written) !== line) return undefined;
    length += written;
    wasShort = written < LINE_BYTES;
    count += 1;
    if (count % LINES_AT_ONCE === 0) await betweenPieces();
  }
  return isOver ? binary.subarray(0, length) : undefined;
}

/** Without their endings, LF or CRLF. Of one that is too long there is only so much that this is seen. */
function* linesOf(text: Buffer): Generator<string, undefined> {
  let at = 0;
  while (at <= text.length) {
    const ending = text.indexOf(LF, at);
    const next = ending === -1 ? text.length : ending;
    const end = ending > at && text[ending - 1] === CR ? ending - 1 : next;
    yield text.toString('latin1', at, Math.min(end, at + LINE_LENGTH + 1));
    at = next + 1;
  }
}

async function trimmed(file: Buffer, betweenPieces: () => Promise<void>): Promise<Buffer> {
  let [start, end] = [0, file.length];
  while (start < end && isBlank(file[start] as number)) {
    start += 1;
    if (start % BLANKS_AT_ONCE === 0) await betweenPieces();
  }
  while (end > start && isBlank(file[end - 1] as number)) {
    end -= 1;
    if (end % BLANKS_AT_ONCE === 0) await betweenPieces();
  }
  return file.subarray(start, end);
}

/** What JavaScript trims of a text of Latin 1. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0xa0 || (byte >= 0x09 && byte <= CR);
}
