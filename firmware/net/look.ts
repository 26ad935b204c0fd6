// How many buffers of its ring the current delivery has looked at. It looks at as many as it has
// frames, and at more if a frame takes several.
import { POSTED_COUNT_MAX } from '../../layout/limits';
import { isPacked } from '../virtqueue/queue';
import { Ring, RingView } from '../virtqueue/ring';
import { lookPacked } from './look-packed';
import { lookSplit } from './look-split';

/** Buffers with a record, from the delivery's first slot on. */
export let looked: u32 = 0;

/** Opens a delivery: no buffer has a record yet. */
export function openLook(): void {
  looked = 0;
}

/** Looks at the buffers up to `to` slots on. `available`: how many a split ring has. */
export function look(owner: u32, view: RingView, ring: Ring, available: u32, to: u32): void {
  const end = min(to, POSTED_COUNT_MAX);
  if (isPacked(ring)) {
    looked = lookPacked(owner, view, ring, looked, end);
    return;
  }
  const last = min(end, available);
  if (last <= looked) return;
  lookSplit(owner, view, ring, looked, last);
  looked = last;
}
