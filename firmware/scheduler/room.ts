// Whether a receive ring has buffers: a guess, made before its lock is taken. Another processor may
// take them first, and a frame may need more of them.
import { RING_ENABLED } from '../../layout/virtqueue';
import { registers } from '../memory/registers';
import { isStopped } from '../virtqueue/lock';
import { hasMoreThan } from '../virtqueue/queue';
import { ringAt, viewAt } from '../virtqueue/ring';

/** Also true of a ring that takes nothing: its frames are dropped by name, and wait for nothing. */
export function hasBuffers(receiveRing: u32, wanted: u32): bool {
  const view = viewAt(receiveRing);
  const ring = ringAt(receiveRing);
  if (view.state != RING_ENABLED || isStopped(ring)) return true;
  const words = registers();
  const inHand = words.currentRing;
  words.currentRing = receiveRing; // before the first access that could trap
  const has = hasMoreThan(view, ring, min(wanted, ring.size) - 1);
  words.currentRing = inHand;
  return has;
}
