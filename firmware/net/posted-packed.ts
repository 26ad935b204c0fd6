// The common case on a packed ring: finished frames in one piece into buffers in one piece.

import { frameAt } from '../headers/frame';
import { copyToGuest } from '../memory/copy';
import { writePlainHeader } from '../memory/write';
import { putPacked } from '../virtqueue/packed';
import { Ring, RingView } from '../virtqueue/ring';
import { slotsTaken, tookPlain } from './emit';
import { looked } from './look';
import { postedAt } from './posted';

/**
 * Delivers frames of `list` from `start` on. Returns where it stopped: at the first frame or buffer
 * that needs the general path.
 */
export function putPlainPacked(
  view: RingView,
  ring: Ring,
  list: u32,
  start: u32,
  frames: u32,
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
    writePlainHeader(address, headerSize);
    copyToGuest(address + headerSize, frame.address, length);
    putPacked(view, ring, place, posted.id, needed);
    bytes += length;
  }
  tookPlain(i - start, bytes);
  return i;
}
