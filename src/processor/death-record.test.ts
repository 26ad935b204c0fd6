import { beforeEach, expect, it } from 'vitest';
import { DEATHS_MAX, DeathRecord, PERIOD_MS } from './death-record.ts';

let record: DeathRecord;
beforeEach(() => {
  record = new DeathRecord();
});

it('replaces immediately after the first death, then waits twice as long each time', () => {
  let now = 0;
  const waits = Array.from({ length: DEATHS_MAX }, () => {
    const wait = record.note(now);
    now += (wait ?? 0) + 1;
    return wait;
  });
  expect(waits).toEqual([0, 100, 200, 400, 800]);
});

it('gives up when a period has one death too many', () => {
  for (let death = 0; death < DEATHS_MAX; death++) expect(record.note(death)).not.toBeNull();
  expect(record.note(PERIOD_MS - 1)).toBeNull();
});

it('forgets old deaths: one every few minutes is no reason to give up', () => {
  let now = 0;
  for (let death = 0; death < 100; death++) {
    expect(record.note(now)).not.toBeNull();
    now += PERIOD_MS / (DEATHS_MAX - 1);
  }
  expect(record.note(now + PERIOD_MS)).toBe(0);
});
