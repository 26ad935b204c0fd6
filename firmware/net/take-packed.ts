// Takes frames from a packed transmit ring, where each descriptor says whether it is available.
import { CHAIN_LENGTH_MAX, FRAME_SIZE_MIN, PIECE_BUDGET } from '../../layout/limits';
import {
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_SIZE,
  PACKED_CHAIN_FLAGS,
  PACKED_F_AVAIL,
  PACKED_F_USED,
  PACKED_FLAGS,
  PACKED_WRAP,
  RING_FAULT_CHAIN,
} from '../../layout/virtqueue';
import { batch } from '../headers/batch';
import { frameAt } from '../headers/frame';
import { touch } from '../memory/touch';
import { addressInHand, addressInWindow, beginBatch, openLoop } from '../memory/windows';
import { schedule } from '../scheduler/schedule';
import { faultRing } from '../virtqueue/fault';
import { availableFlags, chainId, measureChain } from '../virtqueue/packed';
import { functionOf, Ring, RingView } from '../virtqueue/ring';
import { PLAIN_SIZE_MAX } from './fault-in';
import { CHAIN_MISSED, takeChain } from './take-chain';

/** Fills in the batch; returns the number of frames. */
export function takePacked(ringNumber: u32, view: RingView, ring: Ring): u32 {
  if (availableFlags(view, ring, 0) < 0) return 0;
  beginBatch();
  const owner = functionOf(ringNumber);
  const size = ring.size;
  const headerSize = ring.headerSize;
  const budget = schedule();
  const batchPieces = budget.batchPieces;
  batch().hasBacklog = true; // unless all of it is taken
  const descriptors = view.descriptors;
  let position = ring.lastAvail & ~PACKED_WRAP;
  // 2.8.1: a descriptor is available if AVAIL equals the driver's wrap counter and USED does not.
  let available: u32 = ring.lastAvail & PACKED_WRAP ? PACKED_F_AVAIL : PACKED_F_USED;
  let cost: u32 = 0;
  let ahead: u32 = 0;
  openLoop(owner);
  for (let i: u32 = 0; i < budget.batchFrames; i++) {
    // A slot costs about as much as a piece. Slots beyond the budget wait for the next turn.
    if (ahead >= min(size, PIECE_BUDGET)) return i;
    const slot = descriptors + position * DESCRIPTOR_SIZE;
    touch(slot);
    // Atomic: the rest of the descriptor is read only after its flags.
    const flags = u32(atomic.load<u16>(slot + PACKED_FLAGS));
    if ((flags & (PACKED_F_AVAIL | PACKED_F_USED)) != available) {
      batch().hasBacklog = false;
      return i;
    }
    const address = load<u64>(slot);
    const rest = load<u64>(slot, DESCRIPTOR_LENGTH); // the flags in it are ignored
    const bytes = u32(rest);
    let linear = addressInHand(address, bytes);
    if (linear == 0) linear = addressInWindow(owner, address, bytes);
    const isPlain = (flags & PACKED_CHAIN_FLAGS) == 0 && linear != 0;
    const length = bytes - headerSize;
    const frame = frameAt(i);
    frame.ahead = ahead;
    let slots: u32 = 1;
    if (isPlain && length - FRAME_SIZE_MIN <= PLAIN_SIZE_MAX - FRAME_SIZE_MIN) {
      const at = linear + headerSize;
      frame.target = 0;
      frame.head = u32(rest >> 32) & 0xffff;
      frame.slots = 1;
      frame.address = at;
      frame.header = at;
      frame.length = length;
      cost += length >> budget.batchShift;
    } else {
      slots = measureChain(view, ring, ahead, flags, CHAIN_LENGTH_MAX);
      if (slots == 0) {
        if (i == 0) faultRing(ringNumber, RING_FAULT_CHAIN);
        return i;
      }
      frame.head = chainId;
      frame.slots = slots;
      const taken = takeChain(ringNumber, view, ring, i);
      if (taken == CHAIN_MISSED) return i;
      cost += taken;
    }
    if (cost >= batchPieces) return i + 1;
    ahead += slots;
    position += slots;
    if (position >= size) {
      position -= size;
      available ^= PACKED_F_AVAIL | PACKED_F_USED;
    }
  }
  batch().hasBacklog = availableFlags(view, ring, ahead) >= 0;
  return budget.batchFrames;
}
