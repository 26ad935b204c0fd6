// Lent frames. The driver of an uplink in the same processor gets the list of pieces of a large
// frame and passes it to the kernel, which copies the data to its destination. This saves the copy
// into the port's memory.
//
//   buffer:  [virtio-net header, 12][address u32, length u32] …      used length: USED_LENT + bytes
//
// The sender's buffers complete only after the driver has sent the frame (TURN_LENT). The driver
// says how many bytes it can send at a time: a frame beyond that waits until the earlier ones are
// sent.
import { LENT_PIECE_BASE } from '../../layout/memory';
import { NET_HEADER_SIZE } from '../../layout/virtio';
import { batch } from '../headers/batch';
import { Frame } from '../headers/frame';
import { appendToTargets } from '../memory/pieces';
import { RingView, viewAt } from '../virtqueue/ring';

/** Shorter frames are cheaper to copy. A frame of this length takes several buffers. */
const LENGTH_MIN: u32 = 4096;

/** More pieces do not fit into one buffer of a port. */
const PIECES_MAX: u32 = 400;

/**
 * Host: how many bytes of frames may be lent to the driver of a receive ring in this processor
 * before it has sent them; 0 if it accepts none, or has no room.
 */
export function setLending(ringNumber: u32, bytes: u32): void {
  viewAt(ringNumber).lendableBytes = bytes;
}

export const LEND_NOT: u32 = 0;
export const LEND_NOW: u32 = 1;
/** After the frames lent before have been sent. */
export const LEND_LATER: u32 = 2;

export function mayLend(view: RingView, frame: Frame, headers: u32, length: u32): u32 {
  if (headers != 0 || length != frame.length || length < LENGTH_MIN) return LEND_NOT;
  if (frame.address == 0 && frame.pieceCount > PIECES_MAX) return LEND_NOT;
  if (length <= view.lendableBytes) return LEND_NOW;
  return batch().lentFrames != 0 ? LEND_LATER : LEND_NOT;
}

/** Bytes of the list, including the virtio-net header. */
export function lentSize(frame: Frame): u32 {
  return NET_HEADER_SIZE + (frame.address != 0 ? 8 : frame.pieceCount << 3);
}

/** Writes the list after the header. */
export function appendPieces(view: RingView, frame: Frame): void {
  batch().lentFrames += 1;
  view.lendableBytes -= frame.length;
  if (frame.address == 0) {
    appendToTargets(frame.pieces, frame.pieceCount << 3);
    return;
  }
  store<u32>(LENT_PIECE_BASE, frame.address);
  store<u32>(LENT_PIECE_BASE, frame.length, 4);
  appendToTargets(LENT_PIECE_BASE, 8);
}

/** Whether anything was lent since the last call. */
export function takeLent(): bool {
  const wasLent = batch().lentFrames != 0;
  batch().lentFrames = 0;
  return wasLent;
}
