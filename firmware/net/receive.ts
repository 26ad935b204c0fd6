// Exhale: delivers a list of frames to one receive ring, guest to guest in a single copy.
//
// Split like inhale: first all descriptors (posted-split, posted-packed), then the copies; then one
// used-index store and one interrupt decision for all. A frame that needs a window stops the list:
// what was delivered is published, the host maps the window, and delivery resumes with that frame.
import {
  COUNTER_DROPS,
  COUNTER_OFFERED,
  DROP_RECEIVE_RATE,
  DROP_RING_STOPPED,
} from '../../layout/counters';
import { NET_HEADER_SIZE_HASH } from '../../layout/virtio';
import { RING_ENABLED, RING_FAULT_AVAIL_INDEX } from '../../layout/virtqueue';
import { count } from '../counters/counters';
import { batch } from '../headers/batch';
import { frameAt, OFFLOAD_JOINED } from '../headers/frame';
import { registers } from '../memory/registers';
import { beginDelivery } from '../memory/windows';
import { promiseOf } from '../scheduler/node';
import { isLimited } from '../scheduler/reception';
import { faultRing } from '../virtqueue/fault';
import { isStopped, lock, unlock } from '../virtqueue/lock';
import { isPacked } from '../virtqueue/queue';
import { functionOf, portOf, Ring, RingView, ringAt, viewAt } from '../virtqueue/ring';
import { availableCount } from '../virtqueue/split';
import {
  closeDelivery,
  EMIT_DROPPED,
  EMIT_FAULTED,
  EMIT_MISSED,
  EMITTED,
  openDelivery,
} from './emit';
import { payReceived, receivable } from './gate';
import { abandonJoined, settleJoined } from './joined';
import { look } from './look';
import { markLong, mayBeLong } from './mtu';
import { putPlainPacked } from './posted-packed';
import { putPlainSplit } from './posted-split';
import { markRetagged } from './retag';
import { deliverTranslated, forgetResumed, isPartDone } from './translate';

/**
 * Delivers the frames whose numbers are at `list` (u32 each), from `start` on. Returns how far it
 * got: `frames`, or less if it waits for a window (see the registers) or for the ring's lock.
 */
export function deliver(ringNumber: u32, list: u32, start: u32, frames: u32): u32 {
  const view = viewAt(ringNumber);
  const ring = ringAt(ringNumber);
  registers().currentRing = ringNumber;
  beginDelivery();
  if (batch().isInVlans) markRetagged(portOf(ringNumber), list, start, frames);
  if (mayBeLong(ring)) markLong(ring, list, start, frames);
  batch().isLockedOut = !lock(ring);
  if (batch().isLockedOut) return start;
  let done = start;
  const isEnabled = view.state == RING_ENABLED && !isStopped(ring);
  if (isEnabled && prepare(ringNumber, view, ring, frames - start)) {
    done = isLimited(promiseOf(functionOf(ringNumber)))
      ? deliverSome(ringNumber, view, ring, list, start, frames)
      : deliverEach(ringNumber, view, ring, list, start, frames);
    closeDelivery(ringNumber, view, ring);
    count(ringNumber, COUNTER_OFFERED, done - start);
  } else {
    done = frames;
    forgetResumed(ringNumber);
    count(ringNumber, COUNTER_OFFERED, frames - start);
    dropHere(ringNumber, DROP_RING_STOPPED, frames - start);
    abandonJoined(ringNumber);
  }
  unlock(ring);
  return done;
}

/** Looks at the ring and up to `wanted` of its buffers. False if its driver broke it. */
function prepare(ringNumber: u32, view: RingView, ring: Ring, wanted: u32): bool {
  const available: u32 = isPacked(ring) ? 0 : availableCount(view, ring);
  openDelivery(available);
  if (available > ring.size) {
    faultRing(ringNumber, RING_FAULT_AVAIL_INDEX);
    return false;
  }
  look(functionOf(ringNumber), view, ring, available, wanted);
  return true;
}

/** Delivers what the receiver may have now, and drops the rest by name. */
function deliverSome(
  ringNumber: u32,
  view: RingView,
  ring: Ring,
  list: u32,
  start: u32,
  frames: u32,
): u32 {
  // A super-frame that is half delivered goes on.
  const end = max(receivable(ringNumber, list, start, frames), start + (isPartDone() ? 1 : 0));
  const done = deliverEach(ringNumber, view, ring, list, start, end);
  payReceived(ringNumber, list, start, done);
  if (done < end) return done;
  for (let i = end; i < frames; i++) {
    const frame = frameAt(load<u32>(list + (i << 2)));
    dropHere(ringNumber, DROP_RECEIVE_RATE, 1);
    const result = EMIT_DROPPED - i32(DROP_RECEIVE_RATE);
    if (frame.offload & OFFLOAD_JOINED) settleJoined(ringNumber, frame, result);
  }
  return frames;
}

function deliverEach(
  ringNumber: u32,
  view: RingView,
  ring: Ring,
  list: u32,
  start: u32,
  frames: u32,
): u32 {
  let i = start;
  while (i < frames) {
    // The fast path writes no hash into the header.
    if (ring.headerSize != NET_HEADER_SIZE_HASH) {
      i = isPacked(ring)
        ? putPlainPacked(view, ring, list, i, frames)
        : putPlainSplit(view, ring, list, i, frames);
      if (i == frames) break;
    }
    const frame = frameAt(load<u32>(list + (i << 2)));
    const result = deliverTranslated(ringNumber, view, ring, frame);
    if (result == EMIT_MISSED) return i;
    if (result == EMIT_FAULTED) {
      dropHere(ringNumber, DROP_RING_STOPPED, frames - i);
      abandonJoined(ringNumber);
      return frames;
    }
    if (result != EMITTED) dropHere(ringNumber, u32(EMIT_DROPPED - result), 1);
    if (frame.offload & OFFLOAD_JOINED) settleJoined(ringNumber, frame, result);
    i += 1;
  }
  return frames;
}

function dropHere(ringNumber: u32, reason: u32, frames: u32): void {
  count(ringNumber, COUNTER_DROPS + reason, frames);
}
