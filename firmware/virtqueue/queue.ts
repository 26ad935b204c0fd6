// A virtqueue of either format: the functions that the other rooms call. `ahead` counts slots after
// the last one taken. A chain takes one slot of a split ring's available ring; on a packed ring it
// takes one slot per descriptor.
import { RING_F_PACKED } from '../../layout/virtqueue';
import { availableFlags, publishPacked, putPacked } from './packed';
import { Ring, RingView } from './ring';
import { availableCount, publishSplit, putSplit } from './split';

export function isPacked(ring: Ring): bool {
  return (ring.flags & RING_F_PACKED) != 0;
}

/** Whether the driver has made anything available. */
export function hasChains(view: RingView, ring: Ring): bool {
  return hasMoreThan(view, ring, 0);
}

/** Whether the driver has made more than `slots` slots available. */
export function hasMoreThan(view: RingView, ring: Ring, slots: u32): bool {
  return isPacked(ring)
    ? availableFlags(view, ring, slots) >= 0
    : availableCount(view, ring) > slots;
}

/** Marks the chain `ahead` slots on as used; `publishUsed` hands it over. */
export function putUsed(view: RingView, ring: Ring, ahead: u32, id: u32, length: u32): void {
  if (isPacked(ring)) putPacked(view, ring, ahead, id, length);
  else putSplit(view, ring, ahead, id, length);
}

/** Hands over all marked chains: `slots` slots, in which every chain has been put. */
export function publishUsed(view: RingView, ring: Ring, slots: u32): void {
  if (isPacked(ring)) publishPacked(view, ring, slots);
  else publishSplit(view, ring, slots);
}
