import { expect, it } from 'vitest';
import { RING_COUNT_MAX } from '../../layout/limits.ts';
import {
  RING_ENABLED,
  RING_FAULTED,
  RING_LOCK,
  RING_RECORD_SIZE,
  RING_STATE,
} from '../../layout/virtqueue.ts';
import { freeLocks, markFaulted } from './last-will.ts';

const START = 4096;

function wordOf(ring: number, field: number): number {
  return (START + ring * RING_RECORD_SIZE + field) / 4;
}

it('frees the locks of a dead processor, and no others', () => {
  const words = new Int32Array((START + RING_COUNT_MAX * RING_RECORD_SIZE) / 4);
  const last = RING_COUNT_MAX - 1;
  for (const ring of [0, 5, last]) words[wordOf(ring, RING_LOCK)] = 3;
  words[wordOf(6, RING_LOCK)] = 1;
  freeLocks(words, START, 2);
  const held = [0, 5, 6, last].map((ring) => words[wordOf(ring, RING_LOCK)]);
  expect(held).toEqual([0, 0, 1, 0]);
});

it('marks the ring that a processor died of, and no other', () => {
  const words = new Int32Array((START + RING_COUNT_MAX * RING_RECORD_SIZE) / 4);
  for (let ring = 0; ring < 3; ring++) words[wordOf(ring, RING_STATE)] = RING_ENABLED;
  markFaulted(words, START, 1);
  const states = [0, 1, 2].map((ring) => words[wordOf(ring, RING_STATE)]);
  expect(states).toEqual([RING_ENABLED, RING_FAULTED, RING_ENABLED]);
});
