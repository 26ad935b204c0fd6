import { beforeEach, describe, expect, it } from 'vitest';
import { REGISTERS_BASE } from '../../layout/memory.ts';
import {
  EXHAUSTED_FOR_BATCH,
  EXHAUSTED_FOR_FRAME,
  REGISTER_EXHAUSTED,
  REGISTER_INVALID_ADDRESS,
  REGISTER_INVALID_FUNCTION,
  REGISTER_MISS_ADDRESS,
  REGISTER_MISS_FUNCTION,
} from '../../layout/processor.ts';
import type { MissResult } from '../memory/windows.ts';
import { Misses } from './misses.ts';

/** What a window costs here: a twentieth of what a function may cost in a period of 20 ms. */
const WINDOW_MICROSECONDS = 250;
const AFFORDABLE = 20;
const BATCH_MICROSECONDS = 1500;
const LONE_BATCH_MICROSECONDS = 20_000;
const PERIOD_MICROSECONDS = 20_000;

let now: number;
let cpu: number;
let result: MissResult;
let resolved: [owner: number, address: bigint][];
/** Functions that the question whether others wait was asked for. */
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

/** A batch with one miss of a receiver. False: the frame is dropped. */
function deliver(owner: number): boolean {
  miss(owner);
  const before = resolved.length;
  misses.resolveDelivery();
  misses.endBatch();
  return resolved.length > before;
}

describe('the miss of a sender', () => {
  it('opens the window, and says of what function and where there is no memory', () => {
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

  it('for which no slot is free costs its frame', () => {
    result = 'exhausted';
    misses.resolve();
    expect(word(REGISTER_EXHAUSTED)).toBe(EXHAUSTED_FOR_FRAME);
  });

  it('is on no account here', () => {
    for (let count = 0; count < 10 * AFFORDABLE; count++) misses.resolve();
    expect(deliver(0)).toBe(true);
    expect(asked).toEqual([]);
  });
});

describe('the miss of a receiver', () => {
  it('is answered until its function has had its share of the period, then dropped', () => {
    for (let count = 0; count <= AFFORDABLE; count++) expect(deliver(7), `${count}`).toBe(true);
    expect(asked).toEqual([]); // nobody's rings were looked at before
    miss(7);
    misses.resolveDelivery();
    expect(word(REGISTER_EXHAUSTED)).toBe(EXHAUSTED_FOR_FRAME);
    expect(asked).toEqual([7]);
    misses.endBatch();
    expect(word(REGISTER_EXHAUSTED), 'of the batch before').toBe(0);
    expect(deliver(8), 'another function').toBe(true);
  });

  it('is answered again in the next period', () => {
    while (deliver(7));
    now += PERIOD_MICROSECONDS - 1;
    expect(deliver(7)).toBe(false);
    now += 1;
    expect(deliver(7)).toBe(true);
  });

  it('is answered beyond that where nobody else waits to send', () => {
    othersWait = false;
    for (let count = 0; count < 3 * AFFORDABLE; count++) expect(deliver(7)).toBe(true);
    othersWait = true;
    expect(deliver(7)).toBe(false);
  });

  it('that makes a batch long drops the rest of the batch, whoever it is for', () => {
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

  it('makes no batch longer than messages can wait, though nobody waits to send', () => {
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
