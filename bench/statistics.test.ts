import { describe, expect, test } from 'vitest';
import {
  interquartileRange,
  median,
  medianInterval,
  pairedRatios,
  quantile,
  spread,
} from './statistics.ts';

describe('median', () => {
  test('is the middle of an odd count, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5);
  });
  test('is the mean of the two middle values of an even count', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
  test('of one value is that value', () => {
    expect(median([7])).toBe(7);
  });
  test('of an empty list is an error, not NaN', () => {
    expect(() => median([])).toThrow(RangeError);
  });
  test('does not change its input', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
  test('sorts by value, not as text', () => {
    expect(median([10, 9, 100])).toBe(10);
  });
});

describe('spread', () => {
  test('computes quartiles as R and NumPy do', () => {
    expect(spread([1, 2, 3, 4])).toEqual({
      count: 4,
      min: 1,
      q1: 1.75,
      median: 2.5,
      q3: 3.25,
      max: 4,
    });
  });
  test('one outlier changes the maximum but not the middle half', () => {
    const calm = spread([1, 2, 3, 4, 5]);
    const wild = spread([1, 2, 3, 4, 500]);
    expect(wild.max).toBe(500);
    expect(interquartileRange(wild)).toBe(interquartileRange(calm));
  });
  test('the highest quantile is the maximum', () => {
    expect(quantile([1, 2], 1)).toBe(2);
  });
});

describe('pairedRatios', () => {
  test('pairs by round, so a machine that slows all peers down changes nothing', () => {
    expect(pairedRatios([20, 10, 40], [10, 5, 20])).toEqual([2, 2, 2]);
  });
  test('differs from the ratio of medians when rounds differ', () => {
    expect(median(pairedRatios([1, 8, 9], [1, 2, 9]))).toBe(1);
    expect(median([1, 8, 9]) / median([1, 2, 9])).toBe(4);
  });
  test('rejects lists of different lengths', () => {
    expect(() => pairedRatios([1], [1, 2])).toThrow('received 1 and 2 values');
  });
  test('rejects a zero, which is a failed measurement', () => {
    expect(() => pairedRatios([1], [0])).toThrow('no ratio to 0 in round 0');
  });
});

describe('the interval of the median', () => {
  const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

  test('has the ranks of the binomial tables', () => {
    // n = 6: 1 and 6; 10: 2 and 9; 30: 10 and 21 (95.7 %); 100: 40 and 61.
    for (const [count, low] of [
      [6, 1],
      [10, 2],
      [30, 10],
      [100, 40],
    ] as const) {
      expect(medianInterval(upTo(count).toReversed())).toEqual({ low, high: count + 1 - low });
    }
  });

  test('does not exist for five values: their range covers the median in only 94 %', () => {
    expect(medianInterval(upTo(5))).toBeNull();
    expect(medianInterval([])).toBeNull();
  });
});
