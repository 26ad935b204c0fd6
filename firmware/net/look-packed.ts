// The buffers posted on a packed ring: one record each.
import {
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_SIZE,
  PACKED_CHAIN_FLAGS,
  PACKED_F_AVAIL,
  PACKED_F_USED,
  PACKED_FLAGS,
  PACKED_WRAP,
} from '../../layout/virtqueue';
import { touch } from '../memory/touch';
import { addressInHand, addressInWindow, openLoop } from '../memory/windows';
import { placeBehind } from '../virtqueue/packed';
import { Ring, RingView } from '../virtqueue/ring';
import { postedAt } from './posted';

/**
 * Looks at the buffers `from` … `to` - 1 slots on. Returns where it stopped: at the first that is
 * not available or not a single descriptor. So the i-th record is for the buffer i slots on.
 */
export function lookPacked(owner: u32, view: RingView, ring: Ring, from: u32, to: u32): u32 {
  const size = ring.size;
  const descriptors = view.descriptors;
  const place = placeBehind(ring, ring.lastAvail, from);
  let position = place & ~PACKED_WRAP;
  // 2.8.1: a descriptor is available if AVAIL equals the driver's wrap counter and USED does not.
  let available: u32 = place & PACKED_WRAP ? PACKED_F_AVAIL : PACKED_F_USED;
  available |= DESCRIPTOR_F_WRITE; // and a single writable descriptor
  const mask = PACKED_F_AVAIL | PACKED_F_USED | PACKED_CHAIN_FLAGS;
  const end = min(to, size);
  openLoop(owner);
  for (let i = from; i < end; i++) {
    const slot = descriptors + position * DESCRIPTOR_SIZE;
    touch(slot);
    // Atomic: the rest of the descriptor is read only after its flags.
    if ((u32(atomic.load<u16>(slot + PACKED_FLAGS)) & mask) != available) return i;
    const address = load<u64>(slot);
    const rest = load<u64>(slot, DESCRIPTOR_LENGTH);
    const bytes = u32(rest);
    const posted = postedAt(i);
    posted.address = addressInHand(address, bytes);
    if (posted.address == 0) posted.address = addressInWindow(owner, address, bytes);
    posted.length = bytes;
    posted.id = u32(rest >> 32) & 0xffff;
    position += 1;
    if (position == size) {
      position = 0;
      available ^= PACKED_F_AVAIL | PACKED_F_USED;
    }
  }
  return max(from, end);
}
