// Limits how many descriptors may be read for a frame, and for all frames of a batch. A chain of
// 1024 empty descriptors costs as much as forty frames. A sender pays for its own chains: fewer of
// its frames fit into a batch. But a flooded frame meets the chains of all receivers.
//
//   a delivered frame:  64 of its own  +  what the batch has left, but never more than 2048
import { WALK_LENGTH_MAX, WALK_STEPS_PER_FRAME, WALK_STEPS_PER_SEGMENT } from '../../layout/limits';
import { batch } from '../headers/batch';

/** Descriptors that may still be read for the current frame, in any chain. */
let left: u32 = 0;
/** The part of `left` that does not count against the batch. */
let own: u32 = 0;
/** Before walking the chain of a transmitted frame: all of its steps are its own. */
export function openWalk(): void {
  left = WALK_LENGTH_MAX;
  own = WALK_LENGTH_MAX;
}

/** The same for a walk with a smaller limit; `walkRest` returns what is left of it. */
export function openShortWalk(steps: u32): void {
  left = min(steps, WALK_LENGTH_MAX);
  own = left;
}

export function walkRest(): u32 {
  return left;
}

/** Before walking the buffers of a delivered frame. */
export function openDeliveryWalk(): void {
  left = WALK_LENGTH_MAX;
  own = WALK_STEPS_PER_FRAME;
}

/** One more segment of a super-frame: adds the usual cost of an honest guest's buffer for it. */
export function extendWalk(): void {
  left = min(left + WALK_STEPS_PER_SEGMENT, WALK_LENGTH_MAX);
  own = min(own + WALK_STEPS_PER_SEGMENT, WALK_LENGTH_MAX);
}

/** Pays for reading one descriptor. False if the budget is used up. */
export function takeStep(): bool {
  if (left == 0) return false;
  if (own != 0) own -= 1;
  else if (batch().sharedSteps != 0) batch().sharedSteps -= 1;
  else return false;
  left -= 1;
  batch().walkedSteps += 1;
  return true;
}

/** Descriptors that may be read to measure a chain before it is walked. */
export function measurableSlots(): u32 {
  return own + batch().sharedSteps;
}

/** Pays for a chain that was measured. Measuring does not shorten a walk of the same frame. */
export function payMeasured(slots: u32): void {
  const now = batch();
  now.walkedSteps += slots;
  const fromOwn = min(own, slots);
  own -= fromOwn;
  now.sharedSteps -= min(now.sharedSteps, slots - fromOwn);
}
