import {
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_SIZE,
  PACKED_EVENT_FLAGS,
  PACKED_EVENT_OFFSET,
  PACKED_F_AVAIL,
  PACKED_F_USED,
  PACKED_FLAGS,
  PACKED_WRAP,
} from '../../layout/virtqueue.ts';

// The position of a packed ring. The ring has no index to read, and a front-end that lost its back
// end may name the position at which the ring once began (QEMU does). So the NIC leaves a note in
// its own event suppression structure, whose offset means nothing to the driver under these flags
// (virtio 1.3, 2.8.10). A NIC that is killed leaves none.

/**
 * Reserved bits on top of "kick me" (0). No driver writes here; one that starts afresh clears it.
 */
const NOTE = 0x5a00;

/** Leaves the note. `used`: linear address of the ring's device area. */
export function leaveNote(view: DataView, used: number, place: number): void {
  view.setUint16(used + PACKED_EVENT_OFFSET, place, true);
  view.setUint16(used + PACKED_EVENT_FLAGS, NOTE, true);
}

/** The position in the note, or null if there is none. A guest may have written anything there. */
export function notedPlace(view: DataView, used: number, size: number): number | null {
  const place = view.getUint16(used + PACKED_EVENT_OFFSET, true);
  const isNote = view.getUint16(used + PACKED_EVENT_FLAGS, true) === NOTE;
  return isNote && (place & ~PACKED_WRAP) < size ? place : null;
}

/**
 * The position of a packed ring that is said to begin at `base`. A front-end that knows nothing
 * about wrap counters (User-Mode Linux) begins at 0, as it would with a split ring. But position 0
 * with a wrap counter of 0 is the second lap, in which the first descriptor has been used (2.8.1).
 * If it has not been used, the ring is at its very beginning.
 */
export function firstPlace(view: DataView, descriptors: number, base: number): number {
  if (base !== 0) return base;
  const isUsed = (view.getUint16(descriptors + PACKED_FLAGS, true) & PACKED_F_USED) !== 0;
  return isUsed ? base : PACKED_WRAP;
}

/**
 * Whether a ring has been served beyond the position that is claimed for it. From there to its end,
 * the previous lap has left its marks: the first descriptor of each chain is marked used. Two
 * findings refute the position: a descriptor marked used in the current lap, and a chain of the
 * other lap that was never used (left by a driver that fills its whole ring). All but the first
 * descriptor of a chain keep the driver's mark, so the second finding takes two such descriptors in
 * a row, the first of which ends a chain.
 */
export function isServedBeyond(
  view: DataView,
  descriptors: number,
  size: number,
  place: number,
): boolean {
  const isOdd = (place & PACKED_WRAP) !== 0;
  const used = isOdd ? PACKED_F_AVAIL | PACKED_F_USED : 0;
  const otherLap = isOdd ? PACKED_F_USED : PACKED_F_AVAIL;
  let hasEnded = false;
  for (let slot = place & ~PACKED_WRAP; slot < size; slot++) {
    const at = descriptors + slot * DESCRIPTOR_SIZE;
    const flags = view.getUint16(at + PACKED_FLAGS, true);
    const mark = flags & (PACKED_F_AVAIL | PACKED_F_USED);
    // Zeros are a mark, too, but not in memory that was never written to.
    if (mark === used && (used !== 0 || view.getBigUint64(at, true) !== 0n)) return true;
    if (mark === otherLap && hasEnded) return true;
    hasEnded = mark === otherLap && (flags & DESCRIPTOR_F_NEXT) === 0;
  }
  return false;
}
