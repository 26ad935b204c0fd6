// The frequent case on a packed ring: finished frames in one piece into buffers in one piece.
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
import { copy } from '../memory/copy';
import { touch } from '../memory/touch';
import { HAS_WINDOWS, openWindow, windowLinear, windowSize, windowStart } from '../memory/windows';
import { putPacked } from '../virtqueue/packed';
import { Ring, RingView } from '../virtqueue/ring';
import { frameAt } from '../wire/frame';
import { putPlainHeader, slotsTaken, tookPlain } from './emit';
import { postedAt } from './posted';

/**
 * Looks at up to `wanted` of the next buffers, as far as each is one descriptor and so the i-th
 * stands i slots on. Returns how many.
 */
export function lookPacked(vf: u32, view: RingView, ring: Ring, wanted: u32): u32 {
  const size = ring.size;
  const descriptors = view.descriptors;
  let position = ring.lastAvail & ~PACKED_WRAP;
  // 2.8.1: available means AVAIL as the driver's wrap counter, USED not.
  let available: u32 = ring.lastAvail & PACKED_WRAP ? PACKED_F_AVAIL : PACKED_F_USED;
  available |= DESCRIPTOR_F_WRITE; // and a buffer to be written in one descriptor
  const mask = PACKED_F_AVAIL | PACKED_F_USED | PACKED_CHAIN_FLAGS;
  let start: u64 = 0;
  let span: u64 = 0; // of the window in hand: none yet
  let linear: u32 = 0;
  const count = min(wanted, size);
  for (let i: u32 = 0; i < count; i++) {
    const slot = descriptors + position * DESCRIPTOR_SIZE;
    touch(slot);
    // Atomic: the rest of the descriptor is read only after its flags.
    if ((u32(atomic.load<u16>(slot + PACKED_FLAGS)) & mask) != available) return i;
    const address = load<u64>(slot);
    const rest = load<u64>(slot, DESCRIPTOR_LENGTH);
    const bytes = u32(rest);
    if (HAS_WINDOWS && address - start >= span && openWindow(vf, address)) {
      start = windowStart;
      span = windowSize;
      linear = windowLinear;
    }
    const offset = address - start;
    const isInside = !HAS_WINDOWS || (offset < span && u64(bytes) <= span - offset);
    const posted = postedAt(i);
    posted.address = isInside ? linear + u32(offset) : 0;
    posted.length = bytes;
    posted.id = u32(rest >> 32) & 0xffff;
    position += 1;
    if (position == size) {
      position = 0;
      available ^= PACKED_F_AVAIL | PACKED_F_USED;
    }
  }
  return count;
}

/**
 * Delivers frames of `list` from `start` on; `looked` buffers were looked at. Returns where it
 * ended: at the first frame that is more than plain, or whose buffer is.
 */
export function putPlainPacked(
  view: RingView,
  ring: Ring,
  list: u32,
  start: u32,
  frames: u32,
  looked: u32,
): u32 {
  const headerSize = ring.headerSize;
  const firstPlace = slotsTaken();
  if (firstPlace >= looked) return start;
  const end = min(frames, start + looked - firstPlace);
  let bytes: u32 = 0;
  let i = start;
  for (; i < end; i++) {
    const frame = frameAt(load<u32>(list + (i << 2)));
    const place = firstPlace + (i - start);
    const posted = postedAt(place);
    const address = posted.address;
    const length = frame.length;
    const needed = length + headerSize;
    if (address == 0 || frame.address == 0 || frame.offload != 0) break;
    if (posted.length < needed) break;
    putPlainHeader(address, headerSize);
    copy(address + headerSize, frame.address, length);
    putPacked(view, ring, place, posted.id, needed);
    bytes += length;
  }
  tookPlain(i - start, bytes);
  return i;
}
