import { expect, it } from 'vitest';
import { featureSet, hasFeature, namesOfFeatures } from './features.ts';

it('a set has the features that it was made from, and no other', () => {
  const set = featureSet([0, 31, 32, 63]);
  expect(set).toBe(0x8000_0001_8000_0001n);
  const has = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => hasFeature(set, bit));
  expect(has).toEqual([0, 31, 32, 63]);
  expect(featureSet([])).toBe(0n);
});

it('names of features come in the order of their table', () => {
  const bits = { SECOND: 33, FIRST: 1, ABSENT: 2 };
  expect(namesOfFeatures(featureSet([1, 33, 40]), bits)).toEqual(['SECOND', 'FIRST']);
});
