// The real cost of a batch, known only after its copies are made. Whatever exceeds the expected
// cost of its frames and bytes is charged to the ring that sent them.
import {
  BYTES_COST_SHIFT,
  COPY_BYTES_SHIFT,
  COPY_COST,
  FRAME_COST,
  PIECE_COST,
  WALK_STEP_COST,
} from '../../layout/limits';
import { batch } from '../headers/batch';

/** Counts frames written to a receive ring, including segments. */
export function noteCopies(frames: u32, bytes: u32): void {
  batch().copies += frames;
  batch().copiedBytes += bytes;
}

/** The cost of all copies of the batch so far, for a batch of a single flooded frame. */
export function copiesCost(): u32 {
  const now = batch();
  return (
    now.copies * COPY_COST +
    (now.copiedBytes >> COPY_BYTES_SHIFT) +
    now.walkedSteps * WALK_STEP_COST
  );
}

/** The cost of a batch with this many frames and bytes. */
export function batchCost(frames: u32, bytes: u32): u32 {
  const now = batch();
  const furtherCopies = now.copies > frames ? now.copies - frames : 0;
  const furtherBytes = now.copiedBytes > bytes ? now.copiedBytes - bytes : 0;
  const furtherPieces = now.pieces > frames ? now.pieces - frames : 0;
  return (
    frames * FRAME_COST +
    furtherPieces * PIECE_COST +
    (bytes >> BYTES_COST_SHIFT) +
    furtherCopies * COPY_COST +
    (furtherBytes >> COPY_BYTES_SHIFT) +
    now.walkedSteps * WALK_STEP_COST
  );
}
