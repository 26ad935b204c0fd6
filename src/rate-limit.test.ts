import { describe, expect, it } from 'vitest';
import { RateLimit, withHeldBack } from './rate-limit.ts';

describe('a limit on how often something is reported', () => {
  it('admits a burst, then one now and then with the number held back', () => {
    let time = 100;
    const limit = new RateLimit({ burst: 3, seconds: 10, now: () => time });
    expect([1, 2, 3].map(() => limit.admit())).toEqual([0, 0, 0]);
    expect([4, 5, 6, 7].map(() => limit.admit())).toEqual([null, null, null, null]);
    time += 10;
    expect(limit.admit()).toBe(4);
    expect(limit.admit()).toBeNull();
    expect(limit.takeHeldBack()).toBe(1);
    time += 1000; // never more than a burst accumulates
    expect([1, 2, 3, 4].map(() => limit.admit())).toEqual([0, 0, 0, null]);
  });

  it('counts in words', () => {
    expect(withHeldBack('refused', 0)).toBe('refused');
    expect(withHeldBack('refused', 2)).toBe('refused (and 2 more not reported individually)');
  });
});
