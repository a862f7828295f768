/** The representations of a secret, the daemon's preference first. */
export const REPRESENTATIONS = ['application/json', 'text/plain', 'application/octet-stream'] as const;

export type Representation = (typeof REPRESENTATIONS)[number];

interface MediaRange {
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const PARAMETER = new RegExp(`^[ \\t]*;[ \\t]*(?:(${TOKEN})=(${TOKEN}|"(?:[^"\\\\]|\\\\.)*"))?`);
const MEDIA_RANGE = new RegExp(`^[ \\t]*(${TOKEN})/(${TOKEN})`);
const QUALITY = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;
const END_OF_RANGE = /^[ \t]*(?:,|$)/;

/**
 * The representation that a client likes best (RFC 9110 §12.5.1), or null when it accepts none. Of equal quality the
 * range that is named more exactly wins, then the one that stands earlier. Parameters but `q` are ignored; a header
 * that does not parse counts as one that takes anything.
 */
export function negotiate(accept: string | undefined): Representation | null {
  const ranges = accept === undefined ? null : parseAccept(accept);
  if (ranges === null || ranges.length === 0) return REPRESENTATIONS[0];
  const choices = REPRESENTATIONS.flatMap((representation, preference) => {
    const best = mostExact(ranges, representation);
    return best === undefined || best.quality === 0 ? [] : [{ representation, preference, ...best }];
  });
  choices.sort(
    (a, b) =>
      b.quality - a.quality || b.exactness - a.exactness || a.position - b.position || a.preference - b.preference,
  );
  return choices[0]?.representation ?? null;
}

/** The range that speaks of a representation is the most exact one, whatever its quality. */
function mostExact(
  ranges: readonly MediaRange[],
  representation: Representation,
): { quality: number; exactness: number; position: number } | undefined {
  const [type, subtype] = representation.split('/');
  let best: { quality: number; exactness: number; position: number } | undefined;
  for (const [position, range] of ranges.entries()) {
    const exactness =
      range.type === '*'
        ? 0
        : range.type !== type
          ? -1
          : range.subtype === '*'
            ? 1
            : range.subtype === subtype
              ? 2
              : -1;
    if (exactness > (best?.exactness ?? -1)) best = { quality: range.quality, exactness, position };
  }
  return best;
}

function parseAccept(header: string): MediaRange[] | null {
  const ranges: MediaRange[] = [];
  let rest = header;
  while (rest !== '') {
    // RFC 9110 §5.6.1: empty elements of a list are ignored.
    const empty = /^[ \t]*,/.exec(rest) ?? /^[ \t]+$/.exec(rest);
    if (empty !== null) {
      rest = rest.slice(empty[0].length);
      continue;
    }
    const range = MEDIA_RANGE.exec(rest);
    if (range === null) return null;
    const [matched, type = '', subtype = ''] = range;
    if (type === '*' && subtype !== '*') return null;
    rest = rest.slice(matched.length);

    let quality = 1;
    for (let parameter = PARAMETER.exec(rest); parameter !== null; parameter = PARAMETER.exec(rest)) {
      const [text, name, value = ''] = parameter;
      rest = rest.slice(text.length);
      if (name?.toLowerCase() !== 'q') continue;
      if (!QUALITY.test(value)) return null;
      quality = Number(value);
    }
    const end = END_OF_RANGE.exec(rest);
    if (end === null) return null;
    rest = rest.slice(end[0].length);
    ranges.push({ type: type.toLowerCase(), subtype: subtype.toLowerCase(), quality });
  }
  return ranges;
}
