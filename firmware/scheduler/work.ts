// The cost of a batch by count, known only after its copies are made, and by how much floods exceed
// theirs.
import {
  BATCH_COST,
  BYTES_COST_SHIFT,
  COPY_BYTES_SHIFT,
  COPY_COST,
  FRAME_COST,
  PIECE_COST,
  WALK_STEP_COST,
} from '../../layout/limits';
import { batch } from '../headers/batch';
import { measureNext } from './dear';
import { nodeAt } from './node';
import { schedule } from './schedule';

/** One flood in eight is measured for itself. */
const FLOODS_PER_LOOK_MASK: u32 = 7;
/** A new measurement counts for one part in so many. */
const FLOOD_AVERAGE: f64 = 16;
/** Copies take at most so many times longer: what takes more is something else. */
const FLOOD_EXCESS_MAX: f64 = 15;

/** Counts frames written to a receive ring, including segments. */
export function noteCopies(frames: u32, bytes: u32): void {
  batch().copies += frames;
  batch().copiedBytes += bytes;
}

/** The cost of all copies of the batch so far, for a batch of a single flooded frame. */
export function copiesCost(): u32 {
  const now = batch();
  return floodCost(
    now.copies * COPY_COST +
      (now.copiedBytes >> COPY_BYTES_SHIFT) +
      now.walkedSteps * WALK_STEP_COST,
  );
}

/**
 * What a flood of this cost by count takes by experience: several times as much, if each copy has
 * to fetch lines of its receiver's ring from another core.
 */
export function floodCost(model: u32): u32 {
  return u32(f64(model) * (1 + schedule().floodExcess));
}

/** The other way round. */
export function countOfFlood(cost: u32): f64 {
  return f64(cost) / (1 + schedule().floodExcess);
}

/** A flood took `own` ns, and `model` ns by count; −1: it was not measured for itself. */
export function learnFlood(own: f64, model: u32): void {
  const state = schedule();
  state.floods += 1;
  // The function's next batch is measured. A look before each of them would cost too much.
  if ((state.floods & FLOODS_PER_LOOK_MASK) == 0) measureNext(nodeAt(state.leaf));
  if (own < 0) return;
  const excess = min(max(own / f64(model + BATCH_COST) - 1, 0), FLOOD_EXCESS_MAX);
  state.floodExcess += (excess - state.floodExcess) / FLOOD_AVERAGE;
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
