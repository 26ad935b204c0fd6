// How many descriptors may be read for a frame, and for all frames of a batch. A chain of 1024 that
// hold nothing costs as much as forty frames. A sender pays for its own: fewer of its frames make a
// batch. But a frame for everybody meets those of all receivers at once.
//
//   a delivered frame:  64 of its own  +  what the batch has left, but never more than 2048
import { WALK_LENGTH_MAX, WALK_STEPS_PER_FRAME, WALK_STEPS_PER_SEGMENT } from '../../layout/limits';
import { batch } from '../headers/batch';

/** Descriptors that may still be read for the frame in hand, whoever has them. */
let left: u32 = 0;
/** Those of them that are the frame's own. */
let own: u32 = 0;
/** Before the chains of a frame that is sent: all that it may cost is its own. */
export function openWalk(): void {
  left = WALK_LENGTH_MAX;
  own = WALK_LENGTH_MAX;
}

/** The same for a walk that may read only so many; `walkRest` says what is left. */
export function openShortWalk(steps: u32): void {
  left = min(steps, WALK_LENGTH_MAX);
  own = left;
}

export function walkRest(): u32 {
  return left;
}

/** Before the buffers of a frame that is delivered. */
export function openDeliveryWalk(): void {
  left = WALK_LENGTH_MAX;
  own = WALK_STEPS_PER_FRAME;
}

/** A further segment of a super-frame: what an honest guest's buffer for it costs. */
export function extendWalk(): void {
  left = min(left + WALK_STEPS_PER_SEGMENT, WALK_LENGTH_MAX);
  own = min(own + WALK_STEPS_PER_SEGMENT, WALK_LENGTH_MAX);
}

/** Pays for reading one descriptor. False if it may not be read. */
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

/** Pays for a chain that was measured: that shortens no walk of the same frame. */
export function payMeasured(slots: u32): void {
  const now = batch();
  now.walkedSteps += slots;
  const fromOwn = min(own, slots);
  own -= fromOwn;
  now.sharedSteps -= min(now.sharedSteps, slots - fromOwn);
}
