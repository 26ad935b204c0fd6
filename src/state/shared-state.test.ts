import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { COUNTER_COUNT, COUNTER_PACKETS } from '../../layout/counters.ts';
import { FUNCTION_COUNT_MAX, PORT_COUNT_MAX, RING_COUNT_MAX } from '../../layout/limits.ts';
import { SHARED_COUNTERS, SHARED_SIZE } from '../../layout/memory.ts';
import { PORT_FIRST_RING, PORT_LEARNED_COUNT, PORT_RECEIVE_COUNT } from '../../layout/port.ts';
import { PROCESSOR_DOORBELL } from '../../layout/processor.ts';
import { RING_FAULT, RING_SIZE } from '../../layout/virtqueue.ts';
import { LinearMemory } from '../os/linear-memory.ts';
import type { RingBlock } from './ring-numbers.ts';
import { SharedState } from './shared-state.ts';

let shared: SharedState;

beforeEach(() => {
  shared = new SharedState();
});

afterEach(() => shared.close());

function setCounter(ring: number, value: bigint): void {
  const at = SHARED_COUNTERS + (ring * COUNTER_COUNT + COUNTER_PACKETS) * 8;
  shared.view.setBigUint64(at, value, true);
}

describe('the shared state', () => {
  it('is visible to every mapping of its file', () => {
    const processor = new LinearMemory(SHARED_SIZE);
    processor.map(0, SHARED_SIZE, shared.fd, 0);
    shared.setRingField(RING_COUNT_MAX - 1, RING_SIZE, 256);
    shared.count(RING_COUNT_MAX - 1, COUNTER_PACKETS);
    shared.ring(1, PROCESSOR_DOORBELL);
    const bytes = new Uint8Array(processor.buffer);
    expect(Buffer.compare(bytes, new Uint8Array(shared.view.buffer))).toBe(0);
    expect(shared.ringField(RING_COUNT_MAX - 1, RING_SIZE)).toBe(256);
    expect(shared.counter(RING_COUNT_MAX - 1, COUNTER_PACKETS)).toBe(1);
    expect(shared.processorField(1, PROCESSOR_DOORBELL)).toBe(1);
  });

  it('resets the rings of a function, and not those of its neighbours', () => {
    const blocks = [0, 1, 2].map((index) => ({ first: index * 12, count: 12 }));
    const ends = ({ first, count }: RingBlock) => [first, first + count - 1];
    for (const ring of blocks.flatMap(ends)) {
      setCounter(ring, 7n);
      shared.setRingField(ring, RING_FAULT, 1);
    }
    shared.openRings({ first: 12, count: 12 }, 5);
    for (const block of blocks) {
      const isKept = block.first !== 12;
      for (const ring of ends(block)) {
        expect(shared.counter(ring, COUNTER_PACKETS)).toBe(isKept ? 7 : 0);
        expect(shared.ringField(ring, RING_FAULT)).toBe(isKept ? 1 : 0);
      }
    }
  });

  it('resets a port, and not its neighbours', () => {
    const fields = [PORT_RECEIVE_COUNT, PORT_LEARNED_COUNT];
    const read = (port: number) =>
      fields.map((field) => shared.view.getUint32(shared.portOffset(port) + field, true));
    const ports = [4, 5, 6];
    for (const port of ports) {
      for (const field of fields) shared.view.setUint32(shared.portOffset(port) + field, 9, true);
    }
    shared.openPort(5, 36);
    expect(ports.map(read)).toEqual([
      [9, 9],
      [0, 0],
      [9, 9],
    ]);
    expect(shared.view.getUint32(shared.portOffset(5) + PORT_FIRST_RING, true)).toBe(36);
  });

  it('stays in bounds when it resets the last of each', () => {
    setCounter(0, 1n);
    shared.openPort(PORT_COUNT_MAX - 1, 0);
    shared.openRings({ first: RING_COUNT_MAX - 4, count: 4 }, FUNCTION_COUNT_MAX - 1);
    shared.setBehindIommu(FUNCTION_COUNT_MAX - 1, true);
    expect(shared.counter(0, COUNTER_PACKETS)).toBe(1);
  });
});
