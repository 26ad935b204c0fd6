import { PIN_CELL_SIZE } from '../../layout/memory.ts';
import type { MemoryRegion } from '../memory/guest-memory.ts';
import type { FilePart, Pin, PinAllocator } from '../memory/pins.ts';
import { PAGE_SIZE } from '../os/page-size.ts';
import { PAIR_SIZE, PAIR_STRIDE } from './port-memory.ts';
import type { WireSettings } from './wires.ts';

/** Room in the pins area for the queue pairs of an uplink. */
export interface Rooms {
  pinOffsets: number[];
  /** Of each: the pair's memory and, if there is room for all of them, its wire's ring. */
  lengthBytes: number;
}

/**
 * Allocates room for each queue pair, with `ringBytes` for the ring that its wire may have, or
 * without if that does not fit, since no wire needs its ring. Null if even the pairs do not fit.
 * Some room is always left for the rings of guests.
 */
export function allocateRooms(
  allocator: PinAllocator,
  pairs: number,
  ringBytes: number,
): Rooms | null {
  const lengthBytes = PAIR_SIZE + ringBytes;
  const pinOffsets: number[] = [];
  if (!allocator.hasRoomBeside(pairs * lengthBytes)) {
    return ringBytes === 0 ? null : allocateRooms(allocator, pairs, 0);
  }
  while (pinOffsets.length < pairs) {
    const pinOffset = allocator.allocate(lengthBytes, PIN_CELL_SIZE);
    if (pinOffset === null) {
      for (const taken of pinOffsets) allocator.free(taken, lengthBytes);
      return ringBytes === 0 ? null : allocateRooms(allocator, pairs, 0);
    }
    pinOffsets.push(pinOffset);
  }
  return { pinOffsets, lengthBytes };
}

/**
 * What the processor maps for a queue pair: its part of the uplink's file, followed by the ring of
 * its wire, if it has one. `room`: the pair's place in the pins area.
 */
export function pinOfPair(room: Pin, wire: WireSettings): Pin {
  if (wire.kind !== 'packet-ring') return { ...room, lengthBytes: PAIR_SIZE };
  const page = { pageSizeBytes: PAGE_SIZE };
  const file: FilePart = { fd: room.fd, offset: room.fileOffset, lengthBytes: PAIR_SIZE, ...page };
  const ring: FilePart = { fd: wire.fd, offset: 0, lengthBytes: wire.sizeBytes, ...page };
  return { ...room, lengthBytes: PAIR_SIZE + wire.sizeBytes, pieces: [file, ring] };
}

/** Where the firmware finds the frames of a queue pair. */
export function regionsOfPair(room: Pin, pair: number, wire: WireSettings): MemoryRegion[] {
  const start = pair * PAIR_STRIDE;
  const common = { pageSizeBytes: PAGE_SIZE, uses: 1, userAddress: 0 };
  const file: MemoryRegion = {
    ...common,
    guestAddress: start,
    sizeBytes: PAIR_SIZE,
    fd: room.fd,
    fileOffset: room.fileOffset,
  };
  if (wire.kind !== 'packet-ring') return [file];
  const ring: MemoryRegion = {
    ...common,
    guestAddress: start + PAIR_SIZE,
    sizeBytes: wire.sizeBytes,
    fd: wire.fd,
    fileOffset: 0,
    // A packet socket's ring can only be mapped as a whole, which windows do not do.
    pinOffset: room.pinOffset + PAIR_SIZE,
  };
  return [file, ring];
}
