import { beforeEach, describe, expect, it } from 'vitest';
import { REGISTERS_BASE } from '../../layout/memory.ts';
import {
  EXHAUSTED_FOR_BATCH,
  EXHAUSTED_FOR_FRAME,
  EXHAUSTED_FOR_FUNCTION,
  REGISTER_EXHAUSTED,
  REGISTER_INVALID_ADDRESS,
  REGISTER_INVALID_FUNCTION,
  REGISTER_MISS_ADDRESS,
  REGISTER_MISS_FUNCTION,
} from '../../layout/processor.ts';
import type { MissResult } from '../memory/windows.ts';
import { Misses } from './misses.ts';

/** Cost of a window here: a hundredth of what a function may spend in a period of 20 ms. */
const WINDOW_MICROSECONDS = 50;
const AFFORDABLE = 100;
const BATCH_MICROSECONDS = 300;
const LONE_BATCH_MICROSECONDS = 20_000;
const PERIOD_MICROSECONDS = 20_000;

let now: number;
let cpu: number;
let result: MissResult;
let resolved: [owner: number, address: bigint][];
/** Functions for which it was asked whether others wait. */
let asked: number[];
let othersWait: boolean;
let misses: Misses;
const view = new DataView(new ArrayBuffer(REGISTERS_BASE + 256));

beforeEach(() => {
  now = -5; // it wraps
  cpu = 0;
  result = 'mapped';
  resolved = [];
  asked = [];
  othersWait = true;
  new Uint8Array(view.buffer).fill(0);
  const windows = {
    resolve: (owner: number, address: bigint) => {
      cpu += WINDOW_MICROSECONDS;
      resolved.push([owner, address]);
      return result;
    },
  };
  const isAsked = (owner: number) => {
    asked.push(owner);
    return othersWait ? 1 : 0;
  };
  misses = new Misses(windows, view.buffer as ArrayBuffer, isAsked, {
    now: () => now,
    cpu: () => cpu,
  });
});

function word(at: number): number {
  return view.getUint32(REGISTERS_BASE + at, true);
}

function miss(owner: number, address = 0n): void {
  view.setUint32(REGISTERS_BASE + REGISTER_MISS_FUNCTION, owner, true);
  view.setBigUint64(REGISTERS_BASE + REGISTER_MISS_ADDRESS, address, true);
}

/** A batch with one receiver miss. Returns false if the frame is dropped. */
function deliver(owner: number): boolean {
  miss(owner);
  const before = resolved.length;
  misses.resolveDelivery();
  misses.endBatch();
  return resolved.length > before;
}

describe('a sender’s miss', () => {
  it('opens the window, or notes the function and address that have no memory', () => {
    miss(3, 0x123456789n);
    misses.resolve();
    expect(resolved).toEqual([[3, 0x123456789n]]);
    expect(word(REGISTER_INVALID_FUNCTION)).toBe(0);
    result = 'invalid';
    misses.resolve();
    expect(word(REGISTER_INVALID_FUNCTION)).toBe(4);
    const at = REGISTERS_BASE + REGISTER_INVALID_ADDRESS;
    expect(view.getBigUint64(at, true)).toBe(0x123456789n);
    result = 'mapped';
    misses.resolve();
    expect(word(REGISTER_INVALID_FUNCTION), 'of another address').toBe(0);
  });

  it('costs the frame if no slot is free', () => {
    result = 'exhausted';
    misses.resolve();
    expect(word(REGISTER_EXHAUSTED)).toBe(EXHAUSTED_FOR_FRAME);
  });

  it('is not charged to any account here', () => {
    for (let count = 0; count < 10 * AFFORDABLE; count++) misses.resolve();
    expect(deliver(0)).toBe(true);
    expect(asked).toEqual([]);
  });
});

describe('a receiver’s miss', () => {
  it('is served until the function has used its share of the period, then dropped', () => {
    for (let count = 0; count <= AFFORDABLE; count++) expect(deliver(7), `${count}`).toBe(true);
    expect(asked).toEqual([]); // other rings were not checked before
    miss(7);
    misses.resolveDelivery();
    expect(word(REGISTER_EXHAUSTED)).toBe(EXHAUSTED_FOR_FUNCTION + 7);
    expect(asked).toEqual([7]);
    misses.endBatch();
    expect(word(REGISTER_EXHAUSTED), 'of the batch before').toBe(0);
    expect(deliver(8), 'another function').toBe(true);
  });

  it('is served again in the next period', () => {
    while (deliver(7));
    now += PERIOD_MICROSECONDS - 1;
    expect(deliver(7)).toBe(false);
    now += 1;
    expect(deliver(7)).toBe(true);
  });

  it('is served beyond that share while no other ring waits to send', () => {
    othersWait = false;
    for (let count = 0; count < 3 * AFFORDABLE; count++) expect(deliver(7)).toBe(true);
    othersWait = true;
    expect(deliver(7)).toBe(false);
  });

  it('drops the rest of a batch that takes too long, for all its receivers', () => {
    const windows = BATCH_MICROSECONDS / WINDOW_MICROSECONDS;
    for (let owner = 0; owner <= windows; owner++) {
      miss(owner);
      misses.resolveDelivery();
    }
    expect(resolved).toHaveLength(windows + 1);
    expect(word(REGISTER_EXHAUSTED)).toBe(0);
    miss(100);
    misses.resolveDelivery();
    expect(resolved).toHaveLength(windows + 1);
    expect(word(REGISTER_EXHAUSTED)).toBe(EXHAUSTED_FOR_BATCH);
    misses.endBatch();
    expect(deliver(100), 'the next batch').toBe(true);
  });

  it('never makes a batch longer than messages can wait, even if no other ring waits', () => {
    othersWait = false;
    const windows = LONE_BATCH_MICROSECONDS / WINDOW_MICROSECONDS;
    for (let count = 0; count < windows + 10; count++) {
      miss(count % 250);
      misses.resolveDelivery();
    }
    expect(resolved).toHaveLength(windows + 1);
    expect(word(REGISTER_EXHAUSTED)).toBe(EXHAUSTED_FOR_BATCH);
  });
});
