// The plots of a run: those of the suites whose figures form curves or groups.

import { peerNames } from '../peers/all.ts';
import type { Sample, SuiteName } from '../sample.ts';
import { type Summary, summarize } from '../summary.ts';
import type { PlotFile } from './plot-file.ts';
import { ratePlots } from './rates-plot.ts';
import { type Plot, type Point, renderPlot, type Series } from './svg.ts';

interface Curve {
  readonly suite: SuiteName;
  readonly metric: string;
  readonly file: string;
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly isYLogarithmic: boolean;
}

const curves: readonly Curve[] = [
  {
    ...{ suite: 'forward', metric: 'rate', file: 'forward.svg', isYLogarithmic: false },
    title: 'Forward: one core, closed loop',
    ...{ xLabel: 'frame, bytes', yLabel: 'both directions, Mpps' },
  },
  {
    ...{ suite: 'open-loop', metric: 'highest lossless rate', file: 'open-loop.svg' },
    ...{ title: 'Open loop: the highest rate without loss', isYLogarithmic: false },
    ...{ xLabel: 'frame on the wire, bytes', yLabel: 'one direction, Mpps' },
  },
  {
    ...{ suite: 'scale', metric: 'total rate', file: 'scale.svg', isYLogarithmic: false },
    title: 'Scale: all VFs together, one core',
    ...{ xLabel: 'VFs', yLabel: 'total rate, Mpps' },
  },
  {
    ...{ suite: 'windows', metric: 'rate', file: 'windows.svg', isYLogarithmic: true },
    title: 'Windows: buffers in more places than slots (891)',
    ...{ xLabel: 'windows of 4 MiB in use', yLabel: 'both directions, Mpps' },
  },
];

export function renderPlots(samples: readonly Sample[]): PlotFile[] {
  const summaries = summarize(samples);
  const lines = curves.flatMap((curve) => {
    const series = curveSeries(summaries, curve);
    if (series.length === 0) return [];
    const svg = renderPlot({ ...curve, isXLogarithmic: true, series });
    return [{ suite: curve.suite, file: curve.file, svg }];
  });
  const others = [...latencyPlots(summaries), ...vmPlots(summaries)];
  return [...lines, ...others, ...ratePlots(samples)];
}

function curveSeries(summaries: readonly Summary[], { suite, metric }: Curve): Series[] {
  const own = summaries.filter(
    (one) => one.suite === suite && one.metric === metric && one.x !== null,
  );
  return byPeer(own, (summary) => pointOf(summary, summary.x!));
}

function latencyPlots(summaries: readonly Summary[]): PlotFile[] {
  const own = summaries.filter(({ suite }) => suite === 'latency');
  return distinct(own.map(({ workload }) => workload)).map((workload) => {
    const name = workload === '50 % load' ? 'load' : workload.replace(/[ ,]+/g, '-');
    const svg = renderBars(
      own.filter((summary) => summary.workload === workload),
      ({ metric }) => metric,
      { title: `Latency, ${workload}: there and back`, yLabel: 'round trip, µs', xLabel: '' },
      true,
    );
    return { suite: 'latency', file: `latency-${name}.svg`, svg };
  });
}

function vmPlots(summaries: readonly Summary[]): PlotFile[] {
  const own = summaries.filter(({ suite, metric }) => suite === 'vm' && metric === 'both ways');
  if (own.length === 0) return [];
  const labels = {
    ...{ title: 'TCP between two Linux guests', xLabel: '' },
    yLabel: 'one way and then the other, sum, Mbit/s',
  };
  const svg = renderBars(own, ({ workload }) => workload, labels, false);
  return [{ suite: 'vm', file: 'vm-tcp.svg', svg }];
}

function renderBars(
  summaries: readonly Summary[],
  categoryOf: (summary: Summary) => string,
  labels: Pick<Plot, 'title' | 'xLabel' | 'yLabel'>,
  isYLogarithmic: boolean,
): string {
  const categories = distinct(summaries.map(categoryOf));
  const series = byPeer(summaries, (summary) =>
    pointOf(summary, categories.indexOf(categoryOf(summary))),
  );
  return renderPlot({ ...labels, isXLogarithmic: false, isYLogarithmic, series, categories });
}

function byPeer(summaries: readonly Summary[], toPoint: (summary: Summary) => Point): Series[] {
  return distinct(summaries.map(({ peer }) => peer)).map((name) => ({
    ...{ name, color: peerNames.indexOf(name) },
    points: summaries.filter(({ peer }) => peer === name).map(toPoint),
  }));
}

function pointOf({ value }: Summary, x: number): Point {
  return { x, median: value.median, min: value.min, max: value.max };
}

function distinct<Value>(values: readonly Value[]): Value[] {
  return [...new Set(values)];
}
