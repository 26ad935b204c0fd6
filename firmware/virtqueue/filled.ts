// Whether a receive ring's guest has ever posted a buffer. A driver that uses fewer queues than the
// front-end enables leaves the others empty for good.
import { RING_ENABLED } from '../../layout/virtqueue';
import { registers } from '../memory/registers';
import { hasChains } from './queue';
import { ringAt, viewAt } from './ring';

/** True for ever from the first buffer on, until the ring starts anew. */
export function isFilled(ringNumber: u32): bool {
  return ringAt(ringNumber).filled != 0 || becomesFilled(ringNumber);
}

/** Apart from the test that every frame takes, so that this one is small enough to be inlined. */
function becomesFilled(ringNumber: u32): bool {
  const ring = ringAt(ringNumber);
  const view = viewAt(ringNumber);
  // Not known here: what becomes of its frames is for the delivery to say.
  if (view.state != RING_ENABLED) return true;
  const words = registers();
  const sender = words.currentRing;
  words.currentRing = ringNumber; // before an access that could trap
  if (hasChains(view, ring)) ring.filled = 1;
  words.currentRing = sender;
  return ring.filled != 0;
}
