import { describe, expect, test } from 'vitest';
import type { Sample } from './sample.ts';
import { isMostlyDisturbed, summarize, summarizeRatios } from './summary.ts';

/** One sample per round and peer. */
function samplesOf(workload: string, values: Record<string, readonly number[]>): Sample[] {
  return Object.entries(values).flatMap(([peer, rounds]) =>
    rounds.map((value, round) => ({
      ...{ suite: 'forward' as const, peer, round, workload, x: null, metric: 'rate' },
      ...{ unit: 'Mpps', value, isDisturbed: false, switchCores: 1, generatorCores: null },
    })),
  );
}

describe('summaries', () => {
  test('group samples by peer, workload and figure', () => {
    const samples = [
      ...samplesOf('64 B', { heddle: [1, 3, 2], other: [4, 4, 4] }),
      ...samplesOf('1500 B', { heddle: [8, 8, 8] }),
    ];
    const found = summarize(samples).map((one) => [one.workload, one.peer, one.value.median]);
    expect(found).toEqual([
      ['64 B', 'heddle', 2],
      ['64 B', 'other', 4],
      ['1500 B', 'heddle', 8],
    ]);
  });
  test('include CPU time if it was measured', () => {
    const [summary] = summarize(samplesOf('64 B', { heddle: [1] }));
    expect(summary?.switchCores?.median).toBe(1);
    expect(summary?.generatorCores).toBeNull();
  });
  test('count disturbed rounds', () => {
    const [first, ...rest] = samplesOf('64 B', { heddle: [1, 2, 3] });
    const disturbed = [{ ...first!, isDisturbed: true }, ...rest];
    expect(summarize(disturbed).at(0)?.disturbedCount).toBe(1);
  });
  test('of no samples are empty', () => {
    expect(summarize([])).toEqual([]);
    expect(summarizeRatios([], 'heddle')).toEqual([]);
  });
});

describe('ratios', () => {
  test('compare one peer with each other peer, round by round', () => {
    const samples = samplesOf('64 B', { heddle: [10, 20, 30], a: [10, 10, 10], b: [20, 40, 60] });
    const found = summarizeRatios(samples, 'heddle').map(({ peer, against, ratio }) => {
      return [peer, against, ratio.min, ratio.median, ratio.max];
    });
    expect(found).toEqual([
      ['heddle', 'a', 1, 2, 3],
      ['heddle', 'b', 0.5, 0.5, 0.5],
    ]);
  });
  test('pair by round number: a failed round excludes its partner', () => {
    const samples = samplesOf('64 B', { heddle: [10, 20, 30], a: [10, 10, 10] });
    const withoutSecond = samples.filter(({ peer, round }) => peer !== 'heddle' || round !== 1);
    const [found] = summarizeRatios(withoutSecond, 'heddle');
    expect(found?.ratio).toMatchObject({ count: 2, min: 1, max: 3 });
  });
  test('a round is disturbed if either side was', () => {
    const samples = samplesOf('64 B', { heddle: [1, 2, 3], a: [1, 1, 1] });
    const disturbed = samples.map((sample) => ({
      ...sample,
      isDisturbed: sample.round === (sample.peer === 'a' ? 0 : 2),
    }));
    expect(summarizeRatios(disturbed, 'heddle').at(0)?.disturbedCount).toBe(2);
  });
  test('to zero do not exist', () => {
    expect(summarizeRatios(samplesOf('64 B', { heddle: [1], a: [0] }), 'heddle')).toEqual([]);
  });
});

test('a figure is judged if at most half of its rounds were disturbed', () => {
  expect(isMostlyDisturbed(1, 2)).toBe(false);
  expect(isMostlyDisturbed(3, 5)).toBe(true);
  expect(isMostlyDisturbed(1, 1)).toBe(true);
});
