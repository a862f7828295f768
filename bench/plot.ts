/** One line of a chart. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Shows each point, where they are few. */
  readonly marked?: boolean;
}

export interface Axis {
  /** With the unit. */
  readonly label: string;
  readonly scale: 'linear' | 'log';
}

export interface Plot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

const WIDTH = 780;
const HEIGHT = 400;
/** Around the area of the lines; the legend stands on the right. */
const MARGIN = { top: 44, right: 214, bottom: 54, left: 74 };
const INK = '#1f2328';
const GRID = '#d8dee4';

/** Apart for those who see no colours, too, by their dashes. */
const STYLES = [
  { colour: '#0072b2', dash: '' },
  { colour: '#d55e00', dash: '7 4' },
  { colour: '#009e73', dash: '2 3' },
  { colour: '#8e4585', dash: '10 3 2 3' },
  { colour: '#7a5c00', dash: '4 2' },
  { colour: '#4d4d4d', dash: '1 2' },
] as const;

/** From values to places on the page. */
interface Scale {
  readonly ticks: readonly number[];
  place(value: number): number;
}

/** A chart as SVG, with a background of its own: it is read in light and in dark surroundings. */
export function plotSvg({ title, x, y, series }: Plot): string {
  const right = WIDTH - MARGIN.right;
  const bottom = HEIGHT - MARGIN.bottom;
  const valuesOf = (index: 0 | 1): number[] => series.flatMap(({ points }) => points.map((point) => point[index]));
  const across = scaleOf(x, valuesOf(0), MARGIN.left, right);
  const up = scaleOf(y, valuesOf(1), bottom, MARGIN.top);

  const grid = [
    ...across.ticks.map((tick) => {
      const at = round(across.place(tick));
      return (
        line([at, MARGIN.top], [at, bottom], GRID) + label(at, bottom + 18, numberLabel(tick), 'text-anchor="middle"')
      );
    }),
    ...up.ticks.map((tick) => {
      const at = round(up.place(tick));
      return (
        line([MARGIN.left, at], [right, at], GRID) +
        label(MARGIN.left - 8, at + 4, numberLabel(tick), 'text-anchor="end"')
      );
    }),
  ];
  const middle = round((MARGIN.top + bottom) / 2);
  const frame = `<rect x="${MARGIN.left}" y="${MARGIN.top}" width="${right - MARGIN.left}" height="${bottom - MARGIN.top}" fill="none" stroke="${INK}"/>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="12" fill="${INK}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" rx="6" fill="#ffffff"/>`,
    label(MARGIN.left, 26, title, 'font-size="15" font-weight="600"'),
    ...grid,
    frame,
    label(round((MARGIN.left + right) / 2), HEIGHT - 14, x.label, 'text-anchor="middle"'),
    label(18, middle, y.label, `text-anchor="middle" transform="rotate(-90 18 ${middle})"`),
    ...series.map((one, index) => seriesSvg(one, index, across, up)),
    ...series.map((one, index) => legendSvg(one, index, right + 16, MARGIN.top + 12 + index * 22)),
    '</svg>\n',
  ].join('\n');
}

/** The cumulative share, in percent, of ascending values: one point for each half percent. */
export function cumulative(name: string, ascending: ArrayLike<number>): Series {
  const shares = Array.from({ length: 199 }, (_, index) => (index + 1) / 200);
  return {
    name,
    points: shares.map((share) => [ascending[Math.ceil(ascending.length * share) - 1] ?? NaN, share * 100]),
  };
}

function seriesSvg({ points, marked }: Series, index: number, across: Scale, up: Scale): string {
  const { colour } = styleOf(index);
  const places = points
    .map(([x, y]) => [round(across.place(x)), round(up.place(y))] as const)
    .filter((place) => place.every(Number.isFinite)); // 0 has no place on an axis of powers
  const path = places.map(([x, y], at) => `${at === 0 ? 'M' : 'L'}${x} ${y}`).join('');
  const dots = marked === true ? places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`) : [];
  return [`<path d="${path}" fill="none" ${strokeOf(index)}/>`, ...dots].join('');
}

function legendSvg({ name }: Series, index: number, x: number, y: number): string {
  return `<path d="M${x} ${y}h30" fill="none" ${strokeOf(index)}/>${label(x + 38, y + 4, name)}`;
}

function styleOf(index: number): (typeof STYLES)[number] {
  return STYLES[index % STYLES.length] ?? STYLES[0];
}

function strokeOf(index: number): string {
  const { colour, dash } = styleOf(index);
  return `stroke="${colour}" stroke-width="2"${dash === '' ? '' : ` stroke-dasharray="${dash}"`}`;
}

function scaleOf({ scale }: Axis, values: readonly number[], from: number, to: number): Scale {
  const usable = values.filter((value) => Number.isFinite(value) && (scale === 'linear' || value > 0));
  const [lowest, highest] = [Math.min(...usable), Math.max(...usable)];
  const bend = scale === 'log' ? Math.log10 : (value: number): number => value;
  const { ticks, low, high } = scale === 'log' ? powers(lowest, highest) : evenly(Math.min(0, lowest), highest);
  const length = bend(high) - bend(low);
  return { ticks, place: (value) => from + ((bend(value) - bend(low)) / length) * (to - from) };
}

interface Range {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
}

/** From 1, 2 or 5 times a power of ten to another: at least a tenfold, so that what hardly changes looks like that. */
export function powers(lowest: number, highest: number): Range {
  const [first, last] = [Math.floor(Math.log10(lowest)), Math.ceil(Math.log10(highest))];
  const decades = Array.from({ length: Math.max(1, last - first) + 1 }, (_, index) => 10 ** (first + index));
  const finer = decades.flatMap((decade) => [decade, 2 * decade, 5 * decade]);
  const below = finer.findLast((tick) => tick <= lowest) ?? lowest;
  const above = finer.find((tick) => tick >= highest) ?? highest;
  const isWide = above / below >= 10;
  const [low, high] = isWide ? [below, above] : [decades[0] ?? lowest, decades.at(-1) ?? highest];
  const ticks = (high / low > 2_000 ? decades : finer).filter((tick) => tick >= low && tick <= high);
  return { low, high, ticks };
}

/** Five or so round steps, from at most the lowest to at least the highest. */
export function evenly(lowest: number, highest: number): Range {
  const rough = Math.max((highest - lowest) / 5, Number.MIN_VALUE);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.floor(lowest / step);
  const last = Math.ceil(highest / step);
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
  return { low: first * step, high: last * step, ticks };
}

function numberLabel(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString('en-US', { maximumSignificantDigits: 6 });
}

function line([x1, y1]: readonly [number, number], [x2, y2]: readonly [number, number], colour: string): string {
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${colour}"/>`;
}

function label(x: number, y: number, text: string, attributes = ''): string {
  return `<text x="${x}" y="${y}"${attributes === '' ? '' : ` ${attributes}`}>${escaped(text)}</text>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

function round(place: number): number {
  return Math.round(place * 10) / 10;
}
