import { expect, it } from 'vitest';
import { BackOff } from './back-off.ts';

const SECOND = 1000;

it('waits for twice as long each time, up to the longest', () => {
  const backOff = new BackOff({ firstMs: SECOND, maxMs: 5 * SECOND });
  let now = 0;
  for (const seconds of [1, 2, 4, 5, 5]) {
    expect(backOff.next(now)).toBe(seconds * SECOND);
    now += seconds * SECOND + 1;
  }
});

it('begins with the first again after a calm as long as the last wait', () => {
  const backOff = new BackOff({ firstMs: SECOND, maxMs: 60 * SECOND });
  backOff.next(0);
  expect(backOff.next(SECOND)).toBe(2 * SECOND);
  // Over at 3 s; calm for 2 s is not yet longer than the wait was.
  expect(backOff.next(5 * SECOND)).toBe(4 * SECOND);
  expect(backOff.next(13 * SECOND + 1)).toBe(SECOND);
});

it('asks for a longer calm where one is given', () => {
  const backOff = new BackOff({ firstMs: SECOND, maxMs: 60 * SECOND, calmMs: 100 * SECOND });
  backOff.next(0);
  expect(backOff.next(101 * SECOND)).toBe(2 * SECOND);
  expect(backOff.next(203 * SECOND + 1)).toBe(SECOND);
});

it('forgets all when it is reset', () => {
  const backOff = new BackOff({ firstMs: SECOND, maxMs: 60 * SECOND });
  backOff.next(0);
  backOff.reset();
  expect(backOff.next(1)).toBe(SECOND);
});
