// Plots as SVG, without a library: lines over a logarithmic or linear axis, or bars.

export interface Point {
  readonly x: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Series {
  readonly name: string;
  /** Index of its colour: a peer has the same colour in all plots. */
  readonly color: number;
  readonly points: readonly Point[];
}

export interface Plot {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly isXLogarithmic: boolean;
  readonly isYLogarithmic: boolean;
  readonly series: readonly Series[];
  /** If given, x is an index into it: bars instead of lines. */
  readonly categories?: readonly string[];
  /** If given, points are many: these are labelled instead of them, and they have no marks. */
  readonly xTicks?: readonly number[];
}

const size = { width: 760, height: 420 };
const box = { left: 78, right: 590, top: 48, bottom: 356 };
/** Okabe and Ito's colours, which colour-blind readers can distinguish. */
const colors = ['#d55e00', '#0072b2', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
const tickCountWanted = 6;

interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

export function renderPlot(plot: Plot): string {
  const { series, categories } = plot;
  const points = series.flatMap((one) => one.points);
  const y = plot.isYLogarithmic
    ? logarithmic(
        points.flatMap(({ min, max }) => [min, max]),
        box.bottom,
        box.top,
      )
    : linear(Math.max(...points.map(({ max }) => max)), box.bottom, box.top);
  const x = xScale(plot, points);
  const drawn = series.map((one, index) =>
    categories === undefined
      ? line(one, x, y, plot.xTicks === undefined)
      : bars(one, index, series.length, categories.length, y),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}"`,
    ' font-family="system-ui, sans-serif" font-size="13" role="img">',
    `<title>${escapeXml(plot.title)}</title>`,
    `<rect width="${size.width}" height="${size.height}" fill="#ffffff"/>`,
    text(box.left, 26, plot.title, 'font-size="16" font-weight="600"'),
    ...yAxis(y, plot.yLabel),
    ...(categories === undefined ? xAxis(x) : categoryAxis(categories)),
    text((box.left + box.right) / 2, box.bottom + 44, plot.xLabel, 'text-anchor="middle"'),
    ...drawn,
    ...series.map(legend),
    '</svg>\n',
  ].join('\n');
}

function xScale(plot: Plot, points: readonly Point[]): Scale {
  const values = points.map(({ x }) => x);
  // The measured values are the ticks.
  const ticks = plot.xTicks ?? [...new Set(values)].sort((a, b) => a - b);
  const [low, high] = [ticks[0] ?? 0, ticks.at(-1) ?? 1];
  const map = plot.isXLogarithmic ? Math.log2 : (value: number) => value;
  const width = map(high) - map(low) || 1;
  const [from, to] = [box.left + 20, box.right - 20];
  return { ticks, at: (value) => from + ((map(value) - map(low)) / width) * (to - from) };
}

function linear(max: number, from: number, to: number): Scale {
  const step = niceStep(max > 0 ? max : 1);
  const top = step * Math.ceil((max > 0 ? max : 1) / step);
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step);
  return { ticks, at: (value) => from + (value / top) * (to - from) };
}

/** 1, 2 or 5 times a power of ten. */
export function niceStep(max: number): number {
  const rough = max / tickCountWanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((one) => one * power >= rough * 0.999) ?? 10;
  return factor * power;
}

function logarithmic(values: readonly number[], from: number, to: number): Scale {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive, 1)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive, 1))));
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  const part = (value: number) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low);
  return { ticks, at: (value) => from + part(value) * (to - from) };
}

function yAxis(y: Scale, label: string): string[] {
  const middle = (box.top + box.bottom) / 2;
  return [
    ...y.ticks.flatMap((tick) => [
      `<path d="M${box.left} ${px(y.at(tick))}H${box.right}" stroke="#dddddd"/>`,
      text(box.left - 8, y.at(tick) + 4, tidy(tick), 'text-anchor="end"'),
    ]),
    text(18, middle, label, `text-anchor="middle" transform="rotate(-90 18 ${middle})"`),
    `<path d="M${box.left} ${box.top}V${box.bottom}H${box.right}" fill="none" stroke="#333333"/>`,
  ];
}

function xAxis(x: Scale): string[] {
  return x.ticks.flatMap((tick) => [
    `<path d="M${px(x.at(tick))} ${box.bottom}v5" stroke="#333333"/>`,
    text(x.at(tick), box.bottom + 20, tidy(tick), 'text-anchor="middle"'),
  ]);
}

function categoryAxis(categories: readonly string[]): string[] {
  const width = (box.right - box.left) / categories.length;
  return categories.map((name, index) =>
    text(box.left + (index + 0.5) * width, box.bottom + 20, name, 'text-anchor="middle"'),
  );
}

function line(series: Series, x: Scale, y: Scale, hasMarks: boolean): string {
  const color = colorOf(series.color);
  const places = series.points.map((point) => `${px(x.at(point.x))} ${px(y.at(point.median))}`);
  const marks = series.points.map((point) => {
    const at = px(x.at(point.x));
    return (
      `<path d="M${at} ${px(y.at(point.min))}V${px(y.at(point.max))}" stroke="${color}"/>` +
      `<circle cx="${at}" cy="${px(y.at(point.median))}" r="3.5" fill="${color}"/>`
    );
  });
  const path = `<path d="M${places.join('L')}" fill="none" stroke="${color}" stroke-width="2"/>`;
  return [path, ...(hasMarks ? marks : [])].join('\n');
}

function bars(
  series: Series,
  index: number,
  seriesCount: number,
  categoryCount: number,
  y: Scale,
): string {
  const group = (box.right - box.left) / categoryCount;
  const width = (group * 0.8) / seriesCount;
  return series.points
    .map((point) => {
      const left = box.left + point.x * group + group * 0.1 + index * width;
      const top = y.at(point.median);
      const [middle, height] = [px(left + width / 2), px(box.bottom - top)];
      const edge = `x="${px(left)}" y="${px(top)}" width="${px(width * 0.9)}" height="${height}"`;
      const range = `M${middle} ${px(y.at(point.min))}V${px(y.at(point.max))}`;
      return `<rect ${edge} fill="${colorOf(series.color)}"/><path d="${range}" stroke="#333333"/>`;
    })
    .join('\n');
}

function legend({ name, color }: Series, index: number): string {
  const y = box.top + 12 + index * 22;
  const mark = `<rect x="${box.right + 18}" y="${y - 10}" width="12" height="12"`;
  return `${mark} fill="${colorOf(color)}"/>${text(box.right + 36, y, name)}`;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${px(x)}" y="${px(y)}" ${attributes}>${escapeXml(content)}</text>`;
}

function colorOf(color: number): string {
  return colors[color % colors.length]!;
}

function px(value: number): string {
  return value.toFixed(1);
}

function tidy(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
