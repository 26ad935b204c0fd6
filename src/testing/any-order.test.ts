import { afterAll, describe, expect, it } from 'vitest';
import { GuestMemory } from './guest-memory.ts';
import { PackedQueue } from './packed-queue.ts';
import { SplitQueue } from './split-queue.ts';

const SIZE = 8;
const WRITTEN_BYTES = 100;
/** Virtio 1.3, 2.8.1 and 2.7.5. */
const USED_AND_AVAILABLE = 0x8080;
const F_WRITE = 2;

const memory = new GuestMemory();
afterAll(() => memory.close());

/** Three chains of one descriptor, one chain of two. Returns their keys. */
function offerAll(ring: SplitQueue | PackedQueue): number[] {
  const keys = [1, 1, 2, 1].map((pieces) => {
    for (let i = 0; i < pieces; i++) ring.piece(0x1000, WRITTEN_BYTES, true);
    return ring.commit();
  });
  ring.publish();
  return keys;
}

/** What a device does to return one chain of a split ring. */
function returnSplit(ring: SplitQueue, head: number): void {
  const { view } = ring.memory;
  const index = ring.usedIndex;
  const at = ring.used.offset + 4 + (index % SIZE) * 8;
  view.setUint32(at, head, true);
  view.setUint32(at + 4, WRITTEN_BYTES, true);
  view.setUint16(ring.used.offset + 2, index + 1, true);
}

/** The same for a packed ring, at `slot` of its first lap. */
function returnPacked(ring: PackedQueue, slot: number, id: number): void {
  const { view } = ring.memory;
  const at = ring.descriptors.offset + slot * 16;
  view.setUint32(at + 8, WRITTEN_BYTES, true);
  view.setUint16(at + 12, id, true);
  view.setUint16(at + 14, USED_AND_AVAILABLE | F_WRITE, true);
}

describe('a split ring whose device returns chains in any order', () => {
  it('accepts each once', () => {
    const ring = new SplitQueue(memory, { size: SIZE, anyOrder: true });
    const [first = -1, second = -1, third = -1, fourth = -1] = offerAll(ring);
    for (const head of [third, first, fourth, second]) {
      returnSplit(ring, head);
      expect(ring.popUsed()).toBe(head);
    }
    expect(ring.outstanding).toBe(0);
    expect(ring.freeDescriptors).toBe(SIZE);
    offerAll(ring);
    returnSplit(ring, SIZE - 1);
    expect(() => ring.popUsed()).toThrow(`the device has no chain ${SIZE - 1}`);
  });

  it('is an error unless the option allows it', () => {
    const ring = new SplitQueue(memory, { size: SIZE });
    const [first = -1, second = -1] = offerAll(ring);
    returnSplit(ring, second);
    expect(() => ring.popUsed()).toThrow(`the device returned chain ${second}, not ${first}`);
  });
});

describe('a packed ring whose device returns chains in any order', () => {
  it('accepts each once', () => {
    const ring = new PackedQueue(memory, { size: SIZE, anyOrder: true });
    const [first = -1, second = -1, third = -1, fourth = -1] = offerAll(ring);
    let slot = 0;
    for (const [key, slots] of [
      [third, 2],
      [first, 1],
      [fourth, 1],
    ] as const) {
      returnPacked(ring, slot, ring.idOf(key));
      expect(ring.popUsed()).toBe(key);
      slot += slots;
    }
    expect(ring.outstanding).toBe(1);
    returnPacked(ring, slot, ring.idOf(third));
    expect(() => ring.popUsed()).toThrow(`the device has no chain ${ring.idOf(third)}`);
    returnPacked(ring, slot, ring.idOf(second));
    expect(ring.popUsed()).toBe(second);
    expect(ring.freeDescriptors).toBe(SIZE);
  });

  it('is an error unless the option allows it', () => {
    const ring = new PackedQueue(memory, { size: SIZE });
    const [first = -1, second = -1] = offerAll(ring);
    returnPacked(ring, 0, ring.idOf(second));
    const ids = `id ${ring.idOf(second)}, not ${ring.idOf(first)}`;
    expect(() => ring.popUsed()).toThrow(`the device returned ${ids}`);
  });
});
