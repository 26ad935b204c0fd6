// Interrupts that a guest wants fewer of (5.1.6.5.9): after so many packets, or so long after the
// first of them. A guest that suppresses interrupts is asked behind that (notification.ts).
import { COUNTER_PACKETS } from '../../layout/counters';
import { DEFERRED_JUST_NOW } from '../../layout/virtqueue';
import { counted } from '../counters/counters';
import { registers } from '../memory/registers';
import { Ring } from './ring';

/** Whether a ring's interrupt has to wait. Called once a turn while it does, under its lock. */
export function isDeferred(ringNumber: u32, ring: Ring): bool {
  const packets = counted(ringNumber, COUNTER_PACKETS);
  const fresh = packets - ring.signalledPackets;
  // None: buffers came back unused, or another processor has called the guest already.
  if (fresh != 0 && fresh < ring.deferPackets && isEarly(ring)) return true;
  ring.signalledPackets = packets;
  ring.deferredSince = 0;
  return false;
}

/** The clock is read only while something is deferred: the time counts from the first look on. */
function isEarly(ring: Ring): bool {
  const now = max(registers().nowMicroseconds, DEFERRED_JUST_NOW + 1);
  if (ring.deferredSince == 0) ring.deferredSince = DEFERRED_JUST_NOW;
  else if (ring.deferredSince == DEFERRED_JUST_NOW) ring.deferredSince = now;
  else if (now - ring.deferredSince >= ring.deferMicroseconds) return false;
  return true;
}
