import { expect, test } from 'vitest';
import { CyclicSizes } from './cyclic-sizes.ts';

test('the sizes of frames add up over the rounds of a ring', () => {
  // Entries 60, 1000, 60, 1000: four sizes fit twice.
  const even = new CyclicSizes(4, [60, 1000]);
  expect([0, 1, 2, 3, 4, 5].map((frames) => even.bytesOf(frames))).toEqual([
    0, 60, 1060, 1120, 2120, 2180,
  ]);
});

test('each round of the ring begins with the first size', () => {
  // Entries 1, 2, 3, 1: then again 1, 2, 3, 1.
  const odd = new CyclicSizes(4, [1, 2, 3]);
  expect(odd.bytesOf(4)).toBe(7);
  expect(odd.bytesOf(5)).toBe(8);
  expect(odd.largest).toBe(3);
});

test('billions of frames have an exact sum', () => {
  expect(new CyclicSizes(1024, [1500]).bytesOf(4e9 + 3)).toBe(1500 * (4e9 + 3));
});
