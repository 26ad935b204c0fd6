// The frequent case on a split ring: finished frames in one piece into buffers in one piece.
import {
  AVAIL_RING,
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_SIZE,
  USED_ELEMENT_SIZE,
  USED_RING,
} from '../../layout/virtqueue';
import { copy } from '../memory/copy';
import { HAS_WINDOWS, openWindow, windowLinear, windowSize, windowStart } from '../memory/windows';
import { Ring, RingView } from '../virtqueue/ring';
import { frameAt } from '../wire/frame';
import { putPlainHeader, slotsTaken, tookPlain } from './emit';
import { postedAt } from './posted';

/** Looks at the next `count` buffers, which are available. */
export function lookSplit(vf: u32, view: RingView, ring: Ring, count: u32): void {
  const size = ring.size;
  const entries = view.avail + AVAIL_RING;
  const descriptors = view.descriptors;
  const first = ring.lastAvail;
  let start: u64 = 0;
  let span: u64 = 0; // of the window in hand: none yet
  let linear: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const posted = postedAt(i);
    const head = u32(load<u16>(entries + (((first + i) & (size - 1)) << 1)));
    posted.address = 0;
    if (head >= size) continue; // judged at its turn
    const descriptor = descriptors + head * DESCRIPTOR_SIZE;
    const address = load<u64>(descriptor);
    const rest = load<u64>(descriptor, DESCRIPTOR_LENGTH);
    const bytes = u32(rest);
    if (HAS_WINDOWS && address - start >= span && openWindow(vf, address)) {
      start = windowStart;
      span = windowSize;
      linear = windowLinear;
    }
    const offset = address - start;
    const isInside = !HAS_WINDOWS || (offset < span && u64(bytes) <= span - offset);
    if (!isInside || (u32(rest >> 32) & 0xffff) != DESCRIPTOR_F_WRITE) continue;
    posted.address = linear + u32(offset);
    posted.length = bytes;
    posted.id = head;
  }
}

/**
 * Delivers frames of `list` from `start` on; `looked` buffers were looked at. Returns where it
 * ended: at the first frame that is more than plain, or whose buffer is.
 */
export function putPlainSplit(
  view: RingView,
  ring: Ring,
  list: u32,
  start: u32,
  frames: u32,
  looked: u32,
): u32 {
  const headerSize = ring.headerSize;
  const mask = ring.size - 1;
  const elements = view.used + USED_RING;
  const firstUsed = ring.usedIndex;
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
    const element = u64(posted.id) | (u64(needed) << 32);
    store<u64>(elements + ((firstUsed + place) & mask) * USED_ELEMENT_SIZE, element);
    bytes += length;
  }
  tookPlain(i - start, bytes);
  return i;
}
