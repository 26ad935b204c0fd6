// Interrupt coalescing (5.1.6.5.9): an interrupt is sent after a number of packets, or some time
// after the first of them. Then notification.ts checks whether the driver suppresses interrupts.
import { COUNTER_PACKETS } from '../../layout/counters';
import { DEFERRED_JUST_NOW } from '../../layout/virtqueue';
import { counted } from '../counters/counters';
import { registers } from '../memory/registers';
import { Ring } from './ring';

/** Whether an interrupt has to wait. Called under the ring's lock, once a turn while it waits. */
export function isDeferred(ringNumber: u32, ring: Ring): bool {
  const packets = counted(ringNumber, COUNTER_PACKETS);
  const fresh = packets - ring.signalledPackets;
  // 0: buffers came back unused, or another processor has already notified the guest.
  if (fresh != 0 && fresh < ring.deferPackets && isEarly(ring)) return true;
  ring.signalledPackets = packets;
  ring.deferredSince = 0;
  return false;
}

/** The clock is only read while something is deferred, so the time counts from the first check. */
function isEarly(ring: Ring): bool {
  const now = max(registers().nowMicroseconds, DEFERRED_JUST_NOW + 1);
  if (ring.deferredSince == 0) ring.deferredSince = DEFERRED_JUST_NOW;
  else if (ring.deferredSince == DEFERRED_JUST_NOW) ring.deferredSince = now;
  else if (now - ring.deferredSince >= ring.deferMicroseconds) return false;
  return true;
}
