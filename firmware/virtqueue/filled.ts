// Whether the guest has ever posted a buffer to a receive ring. A driver that uses fewer queues
// than the front-end enables leaves the others empty for good.
import { RING_ENABLED } from '../../layout/virtqueue';
import { registers } from '../memory/registers';
import { hasChains } from './queue';
import { ringAt, viewAt } from './ring';

/** True from the first buffer on, until the ring is restarted. */
export function isFilled(ringNumber: u32): bool {
  return ringAt(ringNumber).filled != 0 || becomesFilled(ringNumber);
}

/** Separate, so that `isFilled`, which runs for every frame, is small enough to be inlined. */
function becomesFilled(ringNumber: u32): bool {
  const ring = ringAt(ringNumber);
  const view = viewAt(ringNumber);
  // Unknown here: the delivery decides what happens to its frames.
  if (view.state != RING_ENABLED) return true;
  const words = registers();
  const sender = words.currentRing;
  words.currentRing = ringNumber; // before an access that could trap
  if (hasChains(view, ring)) ring.filled = 1;
  words.currentRing = sender;
  return ring.filled != 0;
}
