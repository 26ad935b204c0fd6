// Frames that are lent: the driver of an uplink, in this very processor, gets a list of the pieces
// that a large frame lies in, and hands them to the kernel, which copies them where they go. So the
// copy into the port's memory is saved.
//
//   buffer:  [virtio-net header, 12][address u32, length u32] …      used length: USED_LENT + bytes
//
// The sender's buffers are complete only when the driver has sent (TURN_LENT). It says how many
// bytes it can send at once: what is beyond them waits until what was lent before is gone.
import { LENT_PIECE_BASE } from '../../layout/memory';
import { NET_HEADER_SIZE } from '../../layout/virtio';
import { batch } from '../headers/batch';
import { Frame } from '../headers/frame';
import { appendToTargets } from '../memory/pieces';
import { RingView, viewAt } from '../virtqueue/ring';

/** Below, a copy is cheaper than the list. A frame of this length takes several buffers. */
const LENGTH_MIN: u32 = 4096;

/** More do not fit into one buffer of a port. */
const PIECES_MAX: u32 = 400;

/**
 * Host: so many bytes of frames may be lent to the driver of a receive ring, in this processor,
 * before it has sent them: 0 where it takes none, or has no room.
 */
export function setLending(ringNumber: u32, bytes: u32): void {
  viewAt(ringNumber).lendableBytes = bytes;
}

export const LEND_NOT: u32 = 0;
export const LEND_NOW: u32 = 1;
/** When what was lent before has been sent. */
export const LEND_LATER: u32 = 2;

export function mayLend(view: RingView, frame: Frame, headers: u32, length: u32): u32 {
  if (headers != 0 || length != frame.length || length < LENGTH_MIN) return LEND_NOT;
  if (frame.address == 0 && frame.pieceCount > PIECES_MAX) return LEND_NOT;
  if (length <= view.lendableBytes) return LEND_NOW;
  return batch().lentFrames != 0 ? LEND_LATER : LEND_NOT;
}

/** Bytes that the list takes, with the virtio-net header. */
export function lentSize(frame: Frame): u32 {
  return NET_HEADER_SIZE + (frame.address != 0 ? 8 : frame.pieceCount << 3);
}

/** Writes the list behind the header. */
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

/** Whether anything was lent since the last time this was asked. */
export function takeLent(): bool {
  const wasLent = batch().lentFrames != 0;
  batch().lentFrames = 0;
  return wasLent;
}
