import { describe, expect, test } from 'vitest';
import { niceStep, type Plot, renderPlot } from './svg.ts';

const plot: Plot = {
  title: 'A < B',
  xLabel: 'frame, bytes',
  yLabel: 'rate, Mpps',
  isXLogarithmic: true,
  isYLogarithmic: false,
  series: [
    {
      name: 'heddle',
      color: 0,
      points: [
        { x: 64, median: 20, min: 18, max: 22 },
        { x: 1500, median: 10, min: 9, max: 11 },
      ],
    },
    { name: 'other', color: 1, points: [{ x: 64, median: 0, min: 0, max: 0 }] },
  ],
};

const numbersOf = (svg: string) => svg.match(/-?\d+\.\d/g)?.map(Number) ?? [];

describe('a plot', () => {
  test('of many points has lines without marks, and the ticks that it is told', () => {
    const svg = renderPlot({ ...plot, isXLogarithmic: false, xTicks: [0, 1000, 2000] });
    expect(svg).not.toContain('<circle');
    for (const text of ['>0<', '>1000<', '>2000<']) expect(svg).toContain(text);
    expect(svg).not.toContain('>64<');
  });
  test('labels its axes with their units, its series and its measured values', () => {
    const svg = renderPlot(plot);
    for (const text of ['frame, bytes', 'rate, Mpps', '>heddle<', '>other<', '>64<', '>1500<']) {
      expect(svg).toContain(text);
    }
  });
  test('escapes what XML would misread', () => {
    expect(renderPlot(plot)).toContain('A &lt; B');
  });
  test.each([true, false])('draws nothing outside (logarithmic y: %s)', (isYLogarithmic) => {
    const svg = renderPlot({ ...plot, isYLogarithmic });
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(Math.max(...numbersOf(svg))).toBeLessThanOrEqual(760);
    expect(Math.min(...numbersOf(svg))).toBeGreaterThanOrEqual(0);
  });
  test('with categories has a bar for each value', () => {
    const points = [0, 1].map((x) => ({ x, median: 5, min: 4, max: 6 }));
    const series = ['a', 'b'].map((name, color) => ({ name, color, points }));
    const svg = renderPlot({ ...plot, series, categories: ['one way', 'the other'] });
    // Four bars, two marks of the legend and the background.
    expect(svg.match(/<rect /g)).toHaveLength(7);
    expect(svg).toContain('>one way<');
  });
});

test.each([
  [30, 5],
  [20.7, 5],
  [1, 0.2],
  [0.05, 0.01],
])('the ticks up to %f are %f apart', (max, step) => {
  expect(niceStep(max)).toBeCloseTo(step, 9);
});
