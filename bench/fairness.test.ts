import { describe, expect, test } from 'vitest';
import { jainIndex, partWithin, relativeError, weightError } from './fairness.ts';

describe("Jain's index", () => {
  test('is 1 for equal values, whatever their size', () => {
    expect(jainIndex([3, 3, 3])).toBe(1);
    expect(jainIndex([1e9, 1e9])).toBe(1);
  });
  test('is 1 / n if one has everything', () => {
    expect(jainIndex([7, 0, 0, 0])).toBe(0.25);
  });
  test('has the value of the definition: (1 + 2 + 3)² / (3 × (1 + 4 + 9))', () => {
    expect(jainIndex([1, 2, 3])).toBeCloseTo(36 / 42, 12);
  });
  test('does not exist if nobody has anything', () => {
    expect(() => jainIndex([0, 0])).toThrow('nobody has anything');
    expect(() => jainIndex([])).toThrow(RangeError);
  });
});

describe('errors', () => {
  test('have a sign: too much is positive', () => {
    expect(relativeError(101, 100)).toBeCloseTo(0.01, 12);
    expect(relativeError(99, 100)).toBeCloseTo(-0.01, 12);
    expect(() => relativeError(1, 0)).toThrow('differs from 0');
  });
  test('of weights: the worst part counts, relative to what it should be', () => {
    expect(weightError([10, 20, 40, 80], [1, 2, 4, 8])).toBeCloseTo(0, 12);
    // 12 of 150 instead of 10: 20 % more; the others lack at most 5 %.
    expect(weightError([12, 19, 39, 80], [1, 2, 4, 8])).toBeCloseTo(0.2, 12);
    expect(() => weightError([1], [1, 2])).toThrow('each value needs a weight');
  });
});

describe('intervals', () => {
  const steady = { seconds: [0.01, 0.01, 0.01, 0.02], bytesPerSecond: 100_000 };

  test('may differ by the tolerance, of their own length', () => {
    const bytes = [1000, 1050, 951, 2101];
    expect(partWithin({ ...steady, bytes, largestBytes: 0 }, 0.05)).toBe(0.75);
  });
  test('or by one frame, where that is more', () => {
    const bytes = [0, 1500, 1500, 3600];
    expect(partWithin({ ...steady, bytes, largestBytes: 1500 }, 0.05)).toBe(0.75);
  });
});
