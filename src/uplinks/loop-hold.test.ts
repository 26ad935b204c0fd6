import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LoopHold } from './loop-hold.ts';

let ends: number;
let hold: LoopHold;

beforeEach(() => {
  vi.useFakeTimers();
  ends = 0;
  hold = new LoopHold(() => {
    ends += 1;
  });
});
afterEach(() => {
  vi.useRealTimers();
});

it('ends after 30 s, and after twice as long each time that the loop persists', () => {
  for (const seconds of [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]) {
    hold.begin();
    hold.begin(); // another processor noticed the loop, too
    expect(hold.seconds).toBe(seconds);
    const before = ends;
    vi.advanceTimersByTime(seconds * 1000 - 1);
    expect([hold.isOn, ends]).toEqual([true, before]);
    vi.advanceTimersByTime(1);
    expect([hold.isOn, ends]).toEqual([false, before + 1]);
    vi.advanceTimersByTime(500);
  }
});

it('is short again if the loop was gone for longer than the hold', () => {
  hold.begin();
  vi.advanceTimersByTime(30_000);
  vi.advanceTimersByTime(31_000);
  hold.begin();
  expect(hold.seconds).toBe(30);
});

it('starts from the beginning after a cancel', () => {
  hold.begin();
  hold.cancel();
  vi.advanceTimersByTime(100_000);
  expect([hold.isOn, ends]).toEqual([false, 0]);
  hold.begin();
  expect(hold.seconds).toBe(30);
});

it('continues from its saved state', () => {
  hold.begin();
  vi.advanceTimersByTime(10_000);
  const now = performance.now();
  const state = hold.save(now);
  expect(state.endsInMs).toBe(20_000);
  let otherEnds = 0;
  const other = new LoopHold(() => {
    otherEnds += 1;
  });
  other.restore(structuredClone(state), now, (work) => work());
  expect(other.save(now)).toEqual(state);
  vi.advanceTimersByTime(19_999);
  expect([other.isOn, otherEnds]).toEqual([true, 0]);
  vi.advanceTimersByTime(1);
  expect([other.isOn, otherEnds]).toEqual([false, 1]);
});

it('ends only when its NIC continues', () => {
  hold.begin();
  const works: (() => void)[] = [];
  const now = performance.now();
  let otherEnds = 0;
  const other = new LoopHold(() => {
    otherEnds += 1;
  });
  other.restore(hold.save(now), now, (work) => works.push(work));
  vi.advanceTimersByTime(40_000);
  expect([other.isOn, otherEnds]).toEqual([true, 0]);
  for (const work of works) work();
  vi.advanceTimersByTime(30_000);
  expect([other.isOn, otherEnds]).toEqual([false, 1]);
});
