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

// Where a packed ring stands. It has no index to read, and a front-end whose back end was lost may
// name the place where the ring once began (QEMU does). So the NIC leaves a note in its own event
// structure, the offset of which means nothing to the driver under these flags (2.8.10). A NIC that
// is killed leaves none.

/** Reserved bits, beside "kick me". No driver writes there; one that starts anew clears it. */
const NOTE = 0x5a00;

/** Leaves the note. `used`: the linear address of the ring's device area. */
export function leaveNote(view: DataView, used: number, place: number): void {
  view.setUint16(used + PACKED_EVENT_OFFSET, place, true);
  view.setUint16(used + PACKED_EVENT_FLAGS, NOTE, true);
}

/** Where a packed ring was left, or null. A guest may have written anything there. */
export function notedPlace(view: DataView, used: number, size: number): number | null {
  const place = view.getUint16(used + PACKED_EVENT_OFFSET, true);
  const isNote = view.getUint16(used + PACKED_EVENT_FLAGS, true) === NOTE;
  return isNote && (place & ~PACKED_WRAP) < size ? place : null;
}

/**
 * Where a packed ring stands that is said to begin at `base`. A front-end that knows nothing of
 * wrap counters (User-Mode Linux) begins it at 0, as it would a split one. But position 0 with a
 * wrap counter of 0 is the second lap, in which the first descriptor has been used (2.8.1). If it
 * has not, the ring is at its very beginning.
 */
export function firstPlace(view: DataView, descriptors: number, base: number): number {
  if (base !== 0) return base;
  const isUsed = (view.getUint16(descriptors + PACKED_FLAGS, true) & PACKED_F_USED) !== 0;
  return isUsed ? base : PACKED_WRAP;
}

/**
 * Whether a ring has been served beyond a place where it is said to stand. From there to its end
 * the lap before has left its marks: on each chain that of its use, in its first descriptor. Two
 * things cannot be: a descriptor that is used in this very lap, and a chain of another lap that
 * nobody has used (what a driver leaves that fills its ring at once). All but the first descriptor
 * of a chain keep the driver's mark, so it takes two such in a row, the one an end.
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
    // Zeros are a mark too, but not in memory that nobody has written to.
    if (mark === used && (used !== 0 || view.getBigUint64(at, true) !== 0n)) return true;
    if (mark === otherLap && hasEnded) return true;
    hasEnded = mark === otherLap && (flags & DESCRIPTOR_F_NEXT) === 0;
  }
  return false;
}
