import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as layout from '../../layout/counters.ts';
import { RING_FAULT_AVAIL_INDEX, RING_FAULT_NONE } from '../../layout/virtqueue.ts';
import { DROP_NAMES, FAULT_NAMES } from './counter-names.ts';

describe('the drop reasons', () => {
  it('have a name each, without holes, each its own', () => {
    const count = DROP_NAMES.length;
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThanOrEqual(layout.DROP_REASON_COUNT);
    for (let reason = 0; reason < count; reason++)
      expect(DROP_NAMES[reason]).toMatch(/^[a-zA-Z]+$/);
    expect(new Set(DROP_NAMES).size).toBe(count);
  });

  it('stand at the number of their constant', () => {
    expect(DROP_NAMES[layout.DROP_BUFFER_ADDRESS]).toBe('bufferAddress');
    expect(DROP_NAMES[layout.DROP_RING_FULL]).toBe('ringFull');
    expect(DROP_NAMES[layout.DROP_NO_DESTINATION]).toBe('noDestination');
    expect(DROP_NAMES[layout.DROP_RUNT]).toBe('runt');
  });

  it('are as many as the constants', () => {
    const constants = Object.keys(layout).filter((name) => /^DROP_(?!REASON_COUNT)/.test(name));
    expect(DROP_NAMES.length).toBe(constants.length);
  });
});

it.each([
  ['drops.md', DROP_NAMES],
  ['ring-faults.md', FAULT_NAMES.slice(1)],
])('docs/%s tells an operator what each reason means', (page, names) => {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  expect(names.filter((name) => !new RegExp(`^\\| *\`${name}\``, 'm').test(text))).toEqual([]);
});

describe('the reasons of ring faults', () => {
  it('have a name each, and a place behind the other counters', () => {
    expect(FAULT_NAMES[RING_FAULT_NONE]).toBeUndefined();
    expect(FAULT_NAMES[RING_FAULT_AVAIL_INDEX]).toBe('availIndex');
    const names = FAULT_NAMES.slice(1);
    for (const name of names) expect(name).toMatch(/^[a-zA-Z]+$/);
    expect(new Set(names).size).toBe(names.length);
    expect(layout.COUNTER_FAULT_REASONS).toBeGreaterThan(layout.COUNTER_GRO);
    expect(layout.COUNTER_FAULT_REASONS + names.length).toBeLessThanOrEqual(layout.COUNTER_COUNT);
  });
});
