// Copies to and from lists of segments: (linear address u32, length u32) pairs.
import { copy, copyToGuest } from './copy';

let target: u32 = 0; // the segment being filled
let filled: u32 = 0; // bytes of it already written

/** The next `appendToTargets` writes to the guest's buffers that `segments` lists. */
export function openTargets(segments: u32): void {
  target = segments;
  filled = 0;
}

/** Copies `length` bytes to where the last call ended. The caller has checked that they fit. */
export function appendToTargets(from: u32, length: u32): void {
  let done: u32 = 0;
  while (done < length) {
    const room = load<u32>(target, 4) - filled;
    const piece = min(room, length - done);
    copyToGuest(load<u32>(target) + filled, from + done, piece);
    done += piece;
    filled += piece;
    if (piece == room) {
      target += 8;
      filled = 0;
    }
  }
}

/** Copies the first `length` bytes of a segment list to `to`. */
export function gather(to: u32, segments: u32, length: u32): void {
  let done: u32 = 0;
  let segment = segments;
  while (done < length) {
    const piece = min(load<u32>(segment, 4), length - done);
    copy(to + done, load<u32>(segment), piece);
    done += piece;
    segment += 8;
  }
}
