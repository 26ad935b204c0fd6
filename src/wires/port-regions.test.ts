import { describe, expect, it } from 'vitest';
import { PIN_CELL_SIZE, PINS_SIZE } from '../../layout/memory.ts';
import { GUEST_PINS_MIN, PinAllocator } from '../memory/pins.ts';
import { PAIR_SIZE } from './port-memory.ts';
import { allocateRooms } from './port-regions.ts';

const PAIRS = 2;
const RING = 4 * PAIR_SIZE;

/** Leaves this many contiguous bytes free besides those reserved for guests. */
function allocatorWith(freeBytes: number): PinAllocator {
  const allocator = new PinAllocator();
  allocator.allocate(PINS_SIZE - GUEST_PINS_MIN - freeBytes, PIN_CELL_SIZE);
  return allocator;
}

describe('room for the queue pairs of an uplink', () => {
  it('includes their rings', () => {
    const rooms = allocateRooms(allocatorWith(PAIRS * (PAIR_SIZE + RING)), PAIRS, RING);
    expect(rooms?.lengthBytes).toBe(PAIR_SIZE + RING);
    expect(new Set(rooms?.pinOffsets).size).toBe(PAIRS);
  });

  it('omits the rings if they do not all fit, and keeps nothing of them', () => {
    const allocator = allocatorWith(PAIRS * (PAIR_SIZE + RING) - PIN_CELL_SIZE);
    const before = allocator.usedCells;
    const rooms = allocateRooms(allocator, PAIRS, RING);
    expect(rooms?.lengthBytes).toBe(PAIR_SIZE);
    expect(rooms?.pinOffsets).toHaveLength(PAIRS);
    expect(allocator.usedCells - before).toBe((PAIRS * PAIR_SIZE) / PIN_CELL_SIZE);
  });

  it('leaves some for the rings of guests', () => {
    const allocator = new PinAllocator();
    const take = () => allocateRooms(allocator, 1, 0);
    let pairs = 0;
    while (take() !== null) pairs += 1;
    expect(pairs).toBe(56);
    expect(allocator.allocate(GUEST_PINS_MIN, PIN_CELL_SIZE)).not.toBeNull();
  });

  it('is null if not even the pairs fit', () => {
    const allocator = allocatorWith(PAIRS * PAIR_SIZE - PIN_CELL_SIZE);
    const before = allocator.usedCells;
    expect(allocateRooms(allocator, PAIRS, RING)).toBeNull();
    expect(allocator.usedCells).toBe(before);
  });
});
