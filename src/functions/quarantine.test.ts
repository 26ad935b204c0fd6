import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Quarantine, TRAPS_MAX } from './quarantine.ts';

let heard: string[];
let quarantine: Quarantine;

beforeEach(() => {
  vi.useFakeTimers();
  heard = [];
  quarantine = new Quarantine((term) => {
    heard.push(term === null ? 'released' : `held ${term.seconds} s`);
  });
});

afterEach(() => vi.useRealTimers());

function trap(times: number, from = 0): void {
  for (let count = 0; count < times; count++) quarantine.noteTrap(from + count);
}

it('tolerates a few traps, and forgets old ones', () => {
  for (let minute = 0; minute < 5; minute++) trap(TRAPS_MAX - 1, minute * 61_000);
  expect(heard).toEqual([]);
  expect(quarantine.problem).toBeNull();
});

it('holds, releases by itself, and holds twice as long the next time', () => {
  trap(TRAPS_MAX);
  expect(quarantine.problem?.reason).toMatch(/in quarantine for 1 s: .* trap 3 times/);
  vi.advanceTimersByTime(999);
  expect(heard).toEqual(['held 1 s']);
  vi.advanceTimersByTime(1);
  expect(quarantine.problem).toBeNull();
  trap(1, 1000);
  vi.advanceTimersByTime(2000);
  trap(1, 3000);
  expect(heard).toEqual(['held 1 s', 'released', 'held 2 s', 'released', 'held 4 s']);
});

it('never holds longer than ten minutes', () => {
  for (let round = 0; round < 12; round++) {
    trap(TRAPS_MAX, round * 1_000_000);
    vi.advanceTimersByTime(600_000);
  }
  expect(heard.slice(-2)).toEqual(['held 600 s', 'released']);
});

it('starts over after half an hour of calm, or when the operator changes the VF', () => {
  trap(TRAPS_MAX);
  quarantine.forgive();
  expect(heard).toEqual(['held 1 s', 'released']);
  trap(TRAPS_MAX, 2000);
  vi.advanceTimersByTime(1000);
  trap(TRAPS_MAX, 2_000_000);
  expect(heard.slice(2)).toEqual(['held 1 s', 'released', 'held 1 s']);
  quarantine.close();
  vi.advanceTimersByTime(10_000);
  expect(heard).toHaveLength(5);
});

it('continues after a restore, by the clock of its new owner', () => {
  trap(TRAPS_MAX);
  const state = quarantine.save(400);
  const other = new Quarantine(() => undefined);
  other.restore(structuredClone(state), 77_000, (work) => work());
  expect(other.save(77_000)).toEqual(state);
  expect(other.problem).toEqual(quarantine.problem);
  vi.advanceTimersByTime(state.term?.endsInMs ?? 0);
  expect(other.problem).toBeNull();
  for (let count = 0; count < TRAPS_MAX; count++) other.noteTrap(77_000);
  expect(other.problem?.reason).toMatch(/^in quarantine for 2 s/);
  other.close();
});

it('counts traps from the restore on, but ends only when its NIC continues', () => {
  trap(TRAPS_MAX - 1);
  const works: (() => void)[] = [];
  const counting = new Quarantine(() => undefined);
  counting.restore(quarantine.save(10), 10, (work) => works.push(work));
  counting.noteTrap(20);
  for (const work of works.splice(0)) work();
  expect(counting.problem).not.toBeNull();

  const held = new Quarantine(() => undefined);
  held.restore(counting.save(20), 20, (work) => works.push(work));
  expect(held.problem).toEqual(counting.problem);
  vi.advanceTimersByTime(5000);
  expect(held.problem).not.toBeNull();
  for (const work of works.splice(0)) work();
  vi.advanceTimersByTime(1000);
  expect(held.problem).toBeNull();
});
