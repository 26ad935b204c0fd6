// How often a delivery may wait for a window. A receiver that rewrites its descriptors between two
// looks would otherwise miss another one each time, and hold the processor for ever.
import { DELIVERY_MISS_STREAK_MAX, DELIVERY_MISSES_MAX } from '../../layout/limits';
import { batch } from '../headers/batch';

/** A frame arrived: its ring is not one that waits for ever. */
export function endMissStreak(): void {
  batch().missStreak = 0;
}

/**
 * Counts a miss of a receive ring. False if it had enough of them, in a row or in this batch: its
 * frame is dropped as if there were no window left, and so are those that miss after it.
 */
export function mayMiss(ringNumber: u32): bool {
  const now = batch();
  if (ringNumber != now.missRing) {
    now.missRing = ringNumber;
    now.missStreak = 0;
    now.missTotal = 0;
  }
  now.missStreak += 1;
  now.missTotal += 1;
  return now.missStreak <= DELIVERY_MISS_STREAK_MAX && now.missTotal <= DELIVERY_MISSES_MAX;
}
