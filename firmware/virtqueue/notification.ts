// Notification suppression in both directions (virtio 1.3, 2.7.7, 2.7.10 and 2.8.10).
import {
  AVAIL_F_NO_INTERRUPT,
  AVAIL_FLAGS,
  AVAIL_RING,
  RING_F_EVENT_INDEX,
  USED_F_NO_NOTIFY,
} from '../../layout/virtqueue';
import { touch } from '../memory/touch';
import {
  publishAvailEvent,
  publishUsedFlags,
  writeAvailEvent,
  writeUsedFlags,
} from '../memory/write';
import { armPackedKicks, suppressPackedKicks, wantsPackedInterrupt } from './packed';
import { isPacked } from './queue';
import { Ring, RingView } from './ring';
import { availableCount } from './split';

/** Asks the driver not to kick: the processor polls the ring anyway. */
export function suppressKicks(view: RingView, ring: Ring): void {
  if (isPacked(ring)) {
    suppressPackedKicks(view);
  } else if (ring.flags & RING_F_EVENT_INDEX) {
    // One less than the last index: the driver's index passes it only once in 65536 chains.
    writeAvailEvent(view.used, ring.size, ring.lastAvail - 1);
  } else {
    writeUsedFlags(view.used, USED_F_NO_NOTIFY);
  }
}

/**
 * Asks the driver to kick at the next chain. True if there is one already. Publishing is a full
 * fence between writing the request and looking again: otherwise each side could miss what the
 * other has just written, and both would sleep. (AssemblyScript's own `atomic.fence` does not pass
 * its validator.)
 */
export function armKicks(view: RingView, ring: Ring): bool {
  if (isPacked(ring)) return armPackedKicks(view, ring);
  if (ring.flags & RING_F_EVENT_INDEX) {
    publishAvailEvent(view.used, ring.size, ring.lastAvail);
  } else {
    publishUsedFlags(view.used, 0);
  }
  return availableCount(view, ring) != 0;
}

/**
 * Whether the driver wants an interrupt for what was published since the last call. Its flags or
 * used_event are read atomically: on arm64, a plain load may overtake the atomic store that
 * published, and an interrupt would be lost. (On x86-64, both loads are the same instruction.)
 */
export function wantsInterrupt(view: RingView, ring: Ring): bool {
  const after = ring.usedIndex;
  const before = ring.signalledUsed;
  ring.signalledUsed = after;
  if (isPacked(ring)) return wantsPackedInterrupt(view, ring, before);
  if (ring.flags & RING_F_EVENT_INDEX) {
    const usedEvent = view.avail + AVAIL_RING + (ring.size << 1);
    touch(usedEvent);
    const event = u32(atomic.load<u16>(usedEvent));
    return ((after - event - 1) & 0xffff) < ((after - before) & 0xffff);
  }
  touch(view.avail);
  return (atomic.load<u16>(view.avail + AVAIL_FLAGS) & AVAIL_F_NO_INTERRUPT) == 0;
}
