// How often a delivery may wait for a window. A receiver that rewrites its descriptors between two
// looks would otherwise miss another one each time, and hold the processor for ever.
import { DELIVERY_MISS_STREAK_MAX, DELIVERY_MISSES_MAX } from '../../layout/limits';
import { NO_RING } from '../virtqueue/ring';

let missRing: u32 = NO_RING;
let streak: u32 = 0;
let total: u32 = 0;

/** Before each batch. */
export function openMisses(): void {
  missRing = NO_RING;
}

/** A frame arrived: its ring is not one that waits for ever. */
export function endMissStreak(): void {
  streak = 0;
}

/**
 * Counts a miss of a receive ring. False if it had enough of them, in a row or in this batch: its
 * frame is dropped as if there were no window left, and so are those that miss after it.
 */
export function mayMiss(ringNumber: u32): bool {
  if (ringNumber != missRing) {
    missRing = ringNumber;
    streak = 0;
    total = 0;
  }
  streak += 1;
  total += 1;
  return streak <= DELIVERY_MISS_STREAK_MAX && total <= DELIVERY_MISSES_MAX;
}
