import { describe, expect, it } from 'vitest';
import { FUNCTION_COUNT_MAX } from '../../layout/limits.ts';
import { SLOT_COUNT_MAX } from '../../layout/memory.ts';
import { Random } from '../testing/random.ts';
import { WindowCounts } from './window-counts.ts';

describe('the windows of each function', () => {
  it('are counted, and the function with the most is known after each change', () => {
    const random = new Random(7);
    const counts = new WindowCounts();
    const naive = new Map<number, number>();
    let total = 0;
    for (let step = 0; step < 20_000; step++) {
      // Few functions, so that they are often equal; the highest number is among them.
      const owner = random.below(2) === 0 ? random.below(5) : FUNCTION_COUNT_MAX - 1;
      const before = naive.get(owner) ?? 0;
      const isLess = before > 0 && (random.below(2) === 0 || total === SLOT_COUNT_MAX);
      if (!isLess && total === SLOT_COUNT_MAX) continue;
      counts.change(owner, isLess ? -1 : 1);
      naive.set(owner, isLess ? before - 1 : before + 1);
      total += isLess ? -1 : 1;
      expect(counts.total).toBe(total);
      const most = Math.max(...naive.values());
      if (most > 0) expect(naive.get(counts.fullest)).toBe(most);
    }
  });

  it('can be as many as there are slots, all of one function', () => {
    const counts = new WindowCounts();
    for (let slot = 0; slot < SLOT_COUNT_MAX; slot++) counts.change(9, 1);
    counts.change(3, 1);
    expect(counts.fullest).toBe(9);
    for (let slot = 0; slot < SLOT_COUNT_MAX; slot++) counts.change(9, -1);
    expect(counts.fullest).toBe(3);
    counts.change(3, -1);
    expect(counts.total).toBe(0);
  });

  it('are zero at first, so the function named then has none to give', () => {
    expect(new WindowCounts().fullest).toBe(0);
  });
});
