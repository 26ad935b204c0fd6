// Copies to and from lists of pieces: (linear address u32, length u32) pairs.
import { copy, copyToGuest } from './copy';

let target: u32 = 0; // the piece being filled
let filled: u32 = 0; // bytes already written to it

/** The next `appendToTargets` writes to the start of the guest buffers that `pieces` lists. */
export function openTargets(pieces: u32): void {
  target = pieces;
  filled = 0;
}

/** Appends `length` bytes after those of the last call. The caller has checked that they fit. */
export function appendToTargets(from: u32, length: u32): void {
  let done: u32 = 0;
  while (done < length) {
    const room = load<u32>(target, 4) - filled;
    const part = min(room, length - done);
    copyToGuest(load<u32>(target) + filled, from + done, part);
    done += part;
    filled += part;
    if (part == room) {
      target += 8;
      filled = 0;
    }
  }
}

/** Copies the first `length` bytes of a list of pieces to `to`. */
export function gather(to: u32, pieces: u32, length: u32): void {
  let done: u32 = 0;
  let entry = pieces;
  while (done < length) {
    const part = min(load<u32>(entry, 4), length - done);
    copy(to + done, load<u32>(entry), part);
    done += part;
    entry += 8;
  }
}
