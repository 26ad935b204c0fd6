// How often a delivery may wait for a window. A receiver that rewrites its descriptors between two
// attempts would otherwise miss another window each time, and block the processor for ever.
import { DELIVERY_MISS_STREAK_MAX, DELIVERY_MISSES_MAX } from '../../layout/limits';
import { batch } from '../headers/batch';

/** A frame was delivered, so its ring does not wait for ever. */
export function endMissStreak(): void {
  batch().missStreak = 0;
}

/**
 * Counts a miss of a receive ring. False if there were too many, in a row or in this batch: the
 * frame is then dropped as if no window were left, and so are later ones that miss.
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
  now.misses += 1;
  return now.missStreak <= DELIVERY_MISS_STREAK_MAX && now.missTotal <= DELIVERY_MISSES_MAX;
}
