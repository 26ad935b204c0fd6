import { expect, it } from 'vitest';
import { BackOff } from './back-off.ts';

const SECOND = 1000;

it('doubles each wait up to the maximum', () => {
  const backOff = new BackOff({ firstMs: SECOND, maxMs: 5 * SECOND });
  let now = 0;
  for (const seconds of [1, 2, 4, 5, 5]) {
    expect(backOff.next(now)).toBe(seconds * SECOND);
    now += seconds * SECOND + 1;
  }
});

it('starts from the first wait after a calm longer than the last wait', () => {
  const backOff = new BackOff({ firstMs: SECOND, maxMs: 60 * SECOND });
  backOff.next(0);
  expect(backOff.next(SECOND)).toBe(2 * SECOND);
  // Over at 3 s; a calm of 2 s is not yet longer than the wait was.
  expect(backOff.next(5 * SECOND)).toBe(4 * SECOND);
  expect(backOff.next(13 * SECOND + 1)).toBe(SECOND);
});

it('requires a longer calm if one is given', () => {
  const backOff = new BackOff({ firstMs: SECOND, maxMs: 60 * SECOND, calmMs: 100 * SECOND });
  backOff.next(0);
  expect(backOff.next(101 * SECOND)).toBe(2 * SECOND);
  expect(backOff.next(203 * SECOND + 1)).toBe(SECOND);
});

it('forgets everything on reset', () => {
  const backOff = new BackOff({ firstMs: SECOND, maxMs: 60 * SECOND });
  backOff.next(0);
  backOff.reset();
  expect(backOff.next(1)).toBe(SECOND);
});
