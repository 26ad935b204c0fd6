// Functions whose batches take far longer than by count: their memory is in no page table, or the
// kernel has yet to find its pages. Others wait for the end of a batch, so theirs have fewer frames
// until they take no longer than those of others, and slowly more again.
//
//   dear   0         as others: its batches may share a look at the clock
//          up to 1   a suspect: each batch is measured for itself, without what came before it
//          > 1       its batches are divided by this
import { BATCH_NS, CHARGE_FACTOR_MAX } from '../../layout/limits';
import { Node } from './node';
import { Schedule } from './schedule';

/** So much longer than BATCH_NS is too long: each function that is dear costs looks. */
const TOLERANCE: f64 = 2;
/** What a batch that took no longer than others leaves of the factor. */
const EASING: f64 = 0.75;
/** Less is forgotten: after eight such batches. One alone would only have to be thrown in. */
const DEAR_MIN: f64 = 0.1;
/** No batch has so many frames. */
const DEAR_MAX: f64 = 1024;

/** Whether work that should have taken `expected` ns has kept others waiting. */
export function isTooLong(work: f64, expected: f64): bool {
  return work > f64(BATCH_NS) * TOLERANCE && work > expected * CHARGE_FACTOR_MAX;
}

/** Its next batches are measured for themselves. */
export function suspect(node: Node): void {
  node.dear = max(node.dear, 1);
}

/** Its next batch is measured for itself. */
export function measureNext(node: Node): void {
  node.dear = max(node.dear, DEAR_MIN / EASING);
}

/** A batch of so many frames was measured for itself, and should have taken `expected` ns. */
export function learnDear(node: Node, frames: u32, work: f64, expected: f64): void {
  if (isTooLong(work, expected)) {
    suspect(node);
    // A single frame cannot be divided: see net/fault-in.
    if (frames > 1) node.dear = min((node.dear * work) / f64(BATCH_NS), DEAR_MAX);
  } else {
    node.dear *= EASING;
    if (node.dear <= DEAR_MIN) node.dear = 0;
  }
}

/** The next batch is of this function. */
export function limitDear(state: Schedule, node: Node): void {
  if (node.dear <= 1) return;
  state.batchFrames = part(state.batchFrames, node.dear);
  state.batchPieces = part(state.batchPieces, node.dear);
  state.batchSegments = part(state.batchSegments, node.dear);
}

function part(limit: u32, factor: f64): u32 {
  return u32(max(f64(limit) / factor, 1));
}
