// Looks at posted buffers before frames arrive for them, for guests behind an IOMMU: missing
// translations are requested now, and are there when frames need them.
//
// All rings share one budget of descriptors. A ring that exhausts it is left where the budget ends,
// and a later look continues there.
import { FRAME_SIZE_MAX, LOOK_AHEAD_MAX, LOOK_AHEAD_STEPS_MAX } from '../../layout/limits';
import { LOOK_PLACES_BASE, TARGET_PIECES_BASE } from '../../layout/memory';
import { DESCRIPTOR_F_WRITE, RING_STOPPED } from '../../layout/virtqueue';
import { setLookingAhead } from '../memory/iotlb';
import { registers } from '../memory/registers';
import { beginDelivery } from '../memory/windows';
import { walkChain } from '../virtqueue/chain';
import { isStopped, lock, unlock } from '../virtqueue/lock';
import { isPacked } from '../virtqueue/queue';
import { functionOf, Ring, RingView, ringAt, viewAt } from '../virtqueue/ring';
import { availableCount } from '../virtqueue/split';
import { openShortWalk, openWalk, walkRest } from '../virtqueue/walk-budget';
import { bufferSlots, bufferStart, findBuffer, openDelivery } from './emit';

/** Descriptors that this look may still read. */
let stepsLeft: u32 = 0;

/** Host: starts a look. */
export function openLookAhead(): void {
  stepsLeft = LOOK_AHEAD_STEPS_MAX;
}

/**
 * Host: looks at a receive ring, between two turns and never during a batch. Missing translations
 * are listed in the registers. False if the budget is used up, which ends the look.
 */
export function lookAhead(ringNumber: u32): bool {
  const view = viewAt(ringNumber);
  if (view.state == RING_STOPPED) return true;
  const ring = ringAt(ringNumber);
  registers().currentRing = ringNumber;
  if (!lock(ring)) return true; // the holder is delivering, so it has requested them
  setLookingAhead(true);
  beginDelivery();
  let isDone = true;
  if (!isStopped(ring)) {
    const available: u32 = isPacked(ring) ? 0 : availableCount(view, ring);
    // An impossible index: the next delivery detects it and faults the ring.
    isDone = available > ring.size || lookAtBuffers(ringNumber, view, ring, available);
  }
  unlock(ring);
  setLookingAhead(false);
  return isDone;
}

function lookAtBuffers(ringNumber: u32, view: RingView, ring: Ring, available: u32): bool {
  openDelivery(available);
  let ahead = placeLeft(ringNumber, ring);
  for (let i: u32 = 0; i < LOOK_AHEAD_MAX; i++) {
    openWalk();
    if (findBuffer(ringNumber, view, ring, ahead) != 0) break;
    const isFirst = stepsLeft == LOOK_AHEAD_STEPS_MAX;
    // On a packed ring, measuring the chain has cost as many steps already.
    openShortWalk(stepsLeft - min(stepsLeft, bufferSlots));
    // The result does not matter: the walk records each address without a translation.
    walkChain(
      functionOf(ringNumber),
      view,
      ring,
      bufferStart,
      bufferSlots,
      DESCRIPTOR_F_WRITE,
      FRAME_SIZE_MAX,
      TARGET_PIECES_BASE,
      0,
    );
    stepsLeft = walkRest();
    if (stepsLeft == 0) {
      // Skips a buffer that takes a whole look by itself.
      leavePlace(ringNumber, ring, isFirst ? ahead + bufferSlots : ahead);
      return false;
    }
    ahead += bufferSlots;
  }
  leavePlace(ringNumber, ring, 0);
  return true;
}

/** How many slots on the last look stopped; 0 if the ring has moved on since. */
function placeLeft(ringNumber: u32, ring: Ring): u32 {
  const place = load<u32>(LOOK_PLACES_BASE + (ringNumber << 2));
  return place >> 16 == (ring.lastAvail & 0xffff) ? place & 0xffff : 0;
}

function leavePlace(ringNumber: u32, ring: Ring, ahead: u32): void {
  store<u32>(LOOK_PLACES_BASE + (ringNumber << 2), (ring.lastAvail << 16) | (ahead & 0xffff));
}
