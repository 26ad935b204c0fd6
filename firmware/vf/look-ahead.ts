// Looks at posted buffers before frames come for them, where a guest is behind an IOMMU: what is
// not translated yet is asked for now, and there by then.
import { FRAME_SIZE_MAX, LOOK_AHEAD_MAX } from '../../layout/limits';
import { TARGET_SEGMENTS_BASE } from '../../layout/memory';
import { DESCRIPTOR_F_WRITE, RING_STOPPED } from '../../layout/virtqueue';
import { control } from '../memory/control';
import { setLookingAhead } from '../memory/iotlb';
import { beginDelivery } from '../memory/windows';
import { openWalk, walkChain } from '../virtqueue/chain';
import { lock, unlock } from '../virtqueue/lock';
import { isPacked } from '../virtqueue/queue';
import { Ring, RingView, ringAt, vfOf, viewAt } from '../virtqueue/ring';
import { availableCount } from '../virtqueue/split';
import { bufferSlots, bufferStart, findBuffer, openDelivery } from './emit';

/** Host: between two turns, for a receive ring. What it lacks stands in the control words. */
export function lookAhead(ringNumber: u32): void {
  const view = viewAt(ringNumber);
  if (view.state == RING_STOPPED) return;
  const ring = ringAt(ringNumber);
  control().currentRing = ringNumber;
  setLookingAhead(true);
  beginDelivery();
  lock(ring);
  const available: u32 = isPacked(ring) ? 0 : availableCount(view, ring);
  // More than there can be: the next delivery finds that out, and has the say on it.
  if (available <= ring.size) lookAtBuffers(ringNumber, view, ring, available);
  unlock(ring);
  setLookingAhead(false);
}

function lookAtBuffers(ringNumber: u32, view: RingView, ring: Ring, available: u32): void {
  openDelivery(available);
  let ahead: u32 = 0;
  for (let i: u32 = 0; i < LOOK_AHEAD_MAX; i++) {
    if (findBuffer(ringNumber, view, ring, ahead) != 0) return;
    openWalk();
    // Whatever it returns: an address without a translation is noted where it is met.
    walkChain(
      vfOf(ringNumber),
      view,
      ring,
      bufferStart,
      bufferSlots,
      DESCRIPTOR_F_WRITE,
      FRAME_SIZE_MAX,
      TARGET_SEGMENTS_BASE,
      0,
    );
    ahead += bufferSlots;
  }
}
