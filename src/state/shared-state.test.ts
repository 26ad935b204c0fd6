import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { COUNTER_COUNT, COUNTER_PACKETS } from '../../layout/counters.ts';
import { QUEUE_COUNT_MAX, RING_COUNT_MAX, VF_COUNT_MAX } from '../../layout/limits.ts';
import { SHARED_COUNTERS, SHARED_SIZE } from '../../layout/memory.ts';
import { PROCESSOR_DOORBELL } from '../../layout/processor.ts';
import { VF_LEARNED_COUNT, VF_RECEIVE_COUNT } from '../../layout/vf.ts';
import { RING_FAULT, RING_SIZE } from '../../layout/virtqueue.ts';
import { LinearMemory } from '../os/linear-memory.ts';
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
  it('is what every mapping of its file sees', () => {
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

  it('forgets a VF, and nothing of its neighbours', () => {
    const rings = (vf: number) => [vf * QUEUE_COUNT_MAX, (vf + 1) * QUEUE_COUNT_MAX - 1];
    const vfs = [4, 5, 6];
    for (const vf of vfs) {
      for (const ring of rings(vf)) {
        setCounter(ring, 7n);
        shared.setRingField(ring, RING_FAULT, 1);
      }
      shared.view.setUint32(shared.vfOffset(vf) + VF_RECEIVE_COUNT, 2, true);
      shared.view.setUint32(shared.vfOffset(vf) + VF_LEARNED_COUNT, 9, true);
    }
    shared.clearVf(5);
    for (const vf of vfs) {
      const isKept = vf !== 5;
      for (const ring of rings(vf)) {
        expect(shared.counter(ring, COUNTER_PACKETS)).toBe(isKept ? 7 : 0);
        expect(shared.ringField(ring, RING_FAULT)).toBe(isKept ? 1 : 0);
      }
      expect(shared.view.getUint32(shared.vfOffset(vf) + VF_RECEIVE_COUNT, true)).toBe(
        isKept ? 2 : 0,
      );
      expect(shared.view.getUint32(shared.vfOffset(vf) + VF_LEARNED_COUNT, true)).toBe(
        isKept ? 9 : 0,
      );
    }
  });

  it('clears the last VF without reaching further', () => {
    shared.clearVf(VF_COUNT_MAX - 1);
    setCounter(0, 1n);
    expect(shared.counter(0, COUNTER_PACKETS)).toBe(1);
  });
});
