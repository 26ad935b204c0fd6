// The rates of a few VFs over time, while their limits change.

import { heddleName } from '../peers/heddle.ts';
import type { Sample } from '../sample.ts';
import { changesWorkload, phaseSeconds } from '../suites/sharing-changes.ts';
import type { PlotFile } from './plot-file.ts';
import { renderPlot, type Series } from './svg.ts';

export function ratePlots(samples: readonly Sample[]): PlotFile[] {
  const own = samples.filter(
    ({ suite, workload, peer }) =>
      suite === 'sharing' && workload.startsWith(changesWorkload) && peer === heddleName,
  );
  if (own.length === 0) return [];
  const series = own.map((sample, color) => seriesOf(sample, color));
  const last = Math.max(...series.flatMap(({ points }) => points.map(({ x }) => x)));
  const count = Math.round(last / phaseSeconds);
  const svg = renderPlot({
    ...{ title: 'Limits of four VFs that change while they flood a fifth', series },
    ...{ xLabel: 'seconds', yLabel: 'rate, Gbit/s' },
    ...{ isXLogarithmic: false, isYLogarithmic: false },
    xTicks: Array.from({ length: count + 1 }, (_, at) => at * phaseSeconds),
  });
  return [{ suite: 'sharing', file: 'sharing-rates.svg', svg }];
}

/** The curve is two lists of numbers with blanks between them. */
function seriesOf({ workload, details }: Sample, color: number): Series {
  const list = (text: unknown) => String(text).split(' ').map(Number);
  const rates = list(details?.gigabits);
  const points = list(details?.seconds).map((x, at) => {
    const rate = rates[at]!;
    return { x, median: rate, min: rate, max: rate };
  });
  return { name: workload.slice(changesWorkload.length + 1), color, points };
}
