import { describe, expect, it } from 'vitest';
import { PIN_CELL_SIZE, PINS_SIZE } from '../../layout/memory.ts';
import { PinAllocator } from '../memory/pins.ts';
import { PAIR_SIZE } from './port-memory.ts';
import { allocateRooms } from './port-regions.ts';

const PAIRS = 2;
const RING = 4 * PAIR_SIZE;

/** So many bytes are left, in one piece. */
function allocatorWith(freeBytes: number): PinAllocator {
  const allocator = new PinAllocator();
  allocator.allocate(PINS_SIZE - freeBytes, PIN_CELL_SIZE);
  return allocator;
}

describe('room for the queue pairs of an uplink', () => {
  it('has their rings in it', () => {
    const rooms = allocateRooms(allocatorWith(PAIRS * (PAIR_SIZE + RING)), PAIRS, RING);
    expect(rooms?.lengthBytes).toBe(PAIR_SIZE + RING);
    expect(new Set(rooms?.pinOffsets).size).toBe(PAIRS);
  });

  it('goes without the rings where they do not all fit, and keeps nothing of them', () => {
    const allocator = allocatorWith(PAIRS * (PAIR_SIZE + RING) - PIN_CELL_SIZE);
    const before = allocator.usedCells;
    const rooms = allocateRooms(allocator, PAIRS, RING);
    expect(rooms?.lengthBytes).toBe(PAIR_SIZE);
    expect(rooms?.pinOffsets).toHaveLength(PAIRS);
    expect(allocator.usedCells - before).toBe((PAIRS * PAIR_SIZE) / PIN_CELL_SIZE);
  });

  it('is none where not even the pairs fit', () => {
    const allocator = allocatorWith(PAIRS * PAIR_SIZE - PIN_CELL_SIZE);
    const before = allocator.usedCells;
    expect(allocateRooms(allocator, PAIRS, RING)).toBeNull();
    expect(allocator.usedCells).toBe(before);
  });
});
