import { describe, expect, test } from 'vitest';
import { lineRateMpps, smallestHeld } from './virtual-wire.ts';

describe('a virtual wire', () => {
  test.each([
    [10, 64, 14.88],
    [10, 1518, 0.813],
    [100, 1518, 8.127],
  ])('of %i Gbit/s carries %i-byte frames at %f Mpps', (gbps, wireBytes, mpps) => {
    expect(lineRateMpps(gbps, wireBytes)).toBeCloseTo(mpps, 2);
  });
  test('is held by the smallest frame such that it and all larger ones hold it', () => {
    const held = [
      { wireBytes: 64, mpps: 12 },
      { wireBytes: 128, mpps: 12 },
      { wireBytes: 1518, mpps: 5 },
    ];
    expect(smallestHeld(1, held)).toBe(64);
    expect(smallestHeld(10, held)).toBe(128);
    expect(smallestHeld(100, held)).toBeNull();
  });
  test('a size that is not held between two that are ends the series', () => {
    const held = [
      { wireBytes: 64, mpps: 20 },
      { wireBytes: 128, mpps: 1 },
      { wireBytes: 1518, mpps: 5 },
    ];
    expect(smallestHeld(10, held)).toBe(1518);
  });
});
