// The buffers posted on a split ring: one record each.
import {
  AVAIL_RING,
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_SIZE,
} from '../../layout/virtqueue';
import { addressInHand, addressInWindow, openLoop } from '../memory/windows';
import { Ring, RingView } from '../virtqueue/ring';
import { postedAt } from './posted';

/** Looks at the buffers `from` … `to` - 1 slots on, which are available. */
export function lookSplit(owner: u32, view: RingView, ring: Ring, from: u32, to: u32): void {
  const size = ring.size;
  const entries = view.avail + AVAIL_RING;
  const descriptors = view.descriptors;
  const first = ring.lastAvail;
  openLoop(owner);
  for (let i = from; i < to; i++) {
    const posted = postedAt(i);
    const head = u32(load<u16>(entries + (((first + i) & (size - 1)) << 1)));
    posted.address = 0;
    if (head >= size) continue; // faults when its turn comes
    const descriptor = descriptors + head * DESCRIPTOR_SIZE;
    const address = load<u64>(descriptor);
    const rest = load<u64>(descriptor, DESCRIPTOR_LENGTH);
    const bytes = u32(rest);
    let linear = addressInHand(address, bytes);
    if (linear == 0) linear = addressInWindow(owner, address, bytes);
    if (linear == 0 || (u32(rest >> 32) & 0xffff) != DESCRIPTOR_F_WRITE) continue;
    posted.address = linear;
    posted.length = bytes;
    posted.id = head;
  }
}
