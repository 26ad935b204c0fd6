// Takes frames from a split transmit ring. One loop reads everything from the ring and the
// descriptors that a frame in one piece needs, so that the cache misses of many frames overlap. It
// does not wait for the frames themselves.
import { FRAME_SIZE_MIN } from '../../layout/limits';
import {
  AVAIL_RING,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_SIZE,
  RING_FAULT_AVAIL_INDEX,
  RING_FAULT_HEAD_INDEX,
} from '../../layout/virtqueue';
import { batch } from '../headers/batch';
import { frameAt } from '../headers/frame';
import { addressInHand, addressInWindow, beginBatch, openLoop } from '../memory/windows';
import { schedule } from '../scheduler/schedule';
import { faultRing } from '../virtqueue/fault';
import { functionOf, Ring, RingView } from '../virtqueue/ring';
import { availableCount } from '../virtqueue/split';
import { PLAIN_SIZE_MAX } from './fault-in';
import { CHAIN_MISSED, takeChain } from './take-chain';

/** Fills in the batch; returns the number of frames. */
export function takeSplit(ringNumber: u32, view: RingView, ring: Ring): u32 {
  const available = availableCount(view, ring);
  if (available == 0) return 0;
  const size = ring.size;
  if (available > size) {
    faultRing(ringNumber, RING_FAULT_AVAIL_INDEX);
    return 0;
  }
  beginBatch();
  const owner = functionOf(ringNumber);
  const budget = schedule();
  const batchPieces = budget.batchPieces;
  const batchShift = budget.batchShift;
  const heads = min(available, budget.batchFrames);
  batch().hasBacklog = true; // unless all of it is taken
  const headerSize = ring.headerSize;
  const entries = view.avail + AVAIL_RING;
  const descriptors = view.descriptors;
  const first = ring.lastAvail;
  let cost: u32 = 0;
  openLoop(owner);
  for (let i: u32 = 0; i < heads; i++) {
    const head = u32(load<u16>(entries + (((first + i) & (size - 1)) << 1)));
    if (head >= size) {
      // The frames before it are good: take them now. The next batch finds the fault again.
      if (i == 0) faultRing(ringNumber, RING_FAULT_HEAD_INDEX);
      return i;
    }
    const descriptor = descriptors + head * DESCRIPTOR_SIZE;
    const address = load<u64>(descriptor);
    const rest = load<u64>(descriptor, DESCRIPTOR_LENGTH);
    const bytes = u32(rest);
    let linear = addressInHand(address, bytes);
    if (linear == 0) linear = addressInWindow(owner, address, bytes);
    const isPlain = (rest & 0xffff_0000_0000) == 0 && linear != 0;
    const length = bytes - headerSize;
    const frame = frameAt(i);
    frame.head = head;
    frame.target = 0;
    if (isPlain && length - FRAME_SIZE_MIN <= PLAIN_SIZE_MAX - FRAME_SIZE_MIN) {
      const at = linear + headerSize;
      frame.address = at;
      frame.header = at;
      frame.length = length;
      cost += length >> batchShift;
    } else {
      frame.ahead = i;
      frame.slots = 1;
      const taken = takeChain(ringNumber, view, ring, i);
      if (taken == CHAIN_MISSED) return i;
      cost += taken;
    }
    if (cost >= batchPieces) {
      batch().hasBacklog = i + 1 < available;
      return i + 1;
    }
  }
  batch().hasBacklog = available > heads;
  return heads;
}
