import { describe, expect, test } from 'vitest';
import { judge } from '../thresholds.ts';
import { type ForwardSample, summarizeForward, summarizeRatios } from './forward.ts';

/** One sample per round of each peer, interleaved as a run makes them. */
function samplesOf(frameBytes: number, rates: Record<string, number[]>): ForwardSample[] {
  const rounds = Math.max(...Object.values(rates).map(({ length }) => length));
  return Array.from({ length: rounds }, (_, round) =>
    Object.entries(rates).map(([peer, mpps]) => ({
      ...{ peer, round, frameBytes, mpps: mpps[round]! },
      ...{ windowSeconds: 2, framesLost: 1, switchCores: 1, generatorCores: 1 },
    })),
  ).flat();
}

describe('summaries of the forward suite', () => {
  test('sort samples by peer and size, and add up losses', () => {
    const samples = [
      ...samplesOf(64, { heddle: [1, 3, 2], other: [4, 4, 4] }),
      ...samplesOf(1500, { heddle: [8, 8, 8], other: [2, 2, 2] }),
    ];
    const found = summarizeForward(samples).map(({ peer, frameBytes, mpps, framesLost }) => {
      return [peer, frameBytes, mpps.median, framesLost];
    });
    expect(found).toEqual([
      ['heddle', 64, 2, 3],
      ['other', 64, 4, 3],
      ['heddle', 1500, 8, 3],
      ['other', 1500, 2, 3],
    ]);
  });

  test('compare the first peer with each other one, round by round', () => {
    const samples = samplesOf(64, { heddle: [10, 20, 30], a: [10, 10, 10], b: [20, 40, 60] });
    const found = summarizeRatios(samples).map(({ peer, against, ratio }) => {
      return [peer, against, ratio.min, ratio.median, ratio.max];
    });
    expect(found).toEqual([
      ['heddle', 'a', 1, 2, 3],
      ['heddle', 'b', 0.5, 0.5, 0.5],
    ]);
  });

  test('count the windows in which a side did not have its core', () => {
    const samples = samplesOf(64, { heddle: [1, 2, 3] });
    const [calm, lazy, starved] = samples as [ForwardSample, ForwardSample, ForwardSample];
    const disturbed = [calm, { ...lazy, switchCores: 0.5 }, { ...starved, generatorCores: 0.9 }];
    expect(summarizeForward(disturbed).at(0)?.disturbedCount).toBe(2);
    const other = samplesOf(64, { other: [1, 1, 1] });
    expect(summarizeRatios([...disturbed, ...other]).at(0)?.disturbedCount).toBe(2);
    const busy = other.map((sample) => ({ ...sample, generatorCores: 0 }));
    expect(summarizeRatios([...disturbed, ...busy]).at(0)?.disturbedCount).toBe(3);
  });

  test('of nothing are empty', () => {
    expect(summarizeForward([])).toEqual([]);
    expect(summarizeRatios([])).toEqual([]);
  });
});

describe('thresholds', () => {
  const idle = { peer: 'heddle', portCount: 8, windowSeconds: 10, switchCores: 0.01 };
  const verdicts = (samples: ForwardSample[], switchCores = 0.01) =>
    judge(summarizeRatios(samples), [{ ...idle, switchCores }]).map(({ isMet }) => isMet);
  const small = (mpps: number) => samplesOf(64, { heddle: [mpps], 'ovs-dpdk': [10] });
  const large = (mpps: number) => samplesOf(1500, { heddle: [mpps], 'ovs-dpdk': [10] });

  test('are met at their very value, and not below', () => {
    expect(verdicts([...small(9), ...large(15)])).toEqual([true, true, true]);
    expect(verdicts([...small(8.9), ...large(14.9)])).toEqual([false, false, true]);
  });

  test('an idle NIC must stay under its threshold', () => {
    expect(verdicts([...small(9), ...large(15)], 0.02)).toEqual([true, true, false]);
  });

  test('what was not measured is not met, nor failed', () => {
    expect(verdicts(small(9))).toEqual([true, null, true]);
    expect(judge([], []).map(({ isMet }) => isMet)).toEqual([null, null, null]);
  });

  test('are about Heddle: no other pair of peers counts', () => {
    const samples = samplesOf(64, { 'ovs-dpdk': [10], 'testpmd-vhost': [1] });
    expect(judge(summarizeRatios(samples), []).at(0)?.isMet).toBe(null);
  });
});
