// What a batch really costs: known only when its copies are made. Everything beyond what its frames
// and bytes let expect is charged to the ring that sent them.
import {
  BYTES_COST_SHIFT,
  COPY_BYTES_SHIFT,
  COPY_COST,
  FRAME_COST,
  WALK_STEP_COST,
} from '../../layout/limits';
import { batch } from '../headers/batch';

/** Frames that a receive ring got, segments among them. */
export function noteCopies(frames: u32, bytes: u32): void {
  batch().copies += frames;
  batch().copiedBytes += bytes;
}

/** The cost of all copies of the batch so far, if it is one frame for everybody. */
export function copiesCost(): u32 {
  const now = batch();
  return (
    now.copies * COPY_COST +
    (now.copiedBytes >> COPY_BYTES_SHIFT) +
    now.walkedSteps * WALK_STEP_COST
  );
}

/** What a batch of so many frames has cost. */
export function batchCost(frames: u32, bytes: u32): u32 {
  const now = batch();
  const furtherCopies = now.copies > frames ? now.copies - frames : 0;
  const furtherBytes = now.copiedBytes > bytes ? now.copiedBytes - bytes : 0;
  return (
    frames * FRAME_COST +
    (bytes >> BYTES_COST_SHIFT) +
    furtherCopies * COPY_COST +
    (furtherBytes >> COPY_BYTES_SHIFT) +
    now.walkedSteps * WALK_STEP_COST
  );
}
