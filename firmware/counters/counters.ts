// Counters in the shared state. Plain additions are enough: each record has one writer at a time
// (see layout/counters).
import { COUNTER_DROPS, COUNTER_RECORD_SIZE } from '../../layout/counters';
import { SHARED_BASE, SHARED_COUNTERS } from '../../layout/memory';

export function count(ring: u32, counter: u32, amount: u64): void {
  const address = SHARED_BASE + SHARED_COUNTERS + ring * COUNTER_RECORD_SIZE + (counter << 3);
  store<u64>(address, load<u64>(address) + amount);
}

/** The lower half of a counter. */
export function counted(ring: u32, counter: u32): u32 {
  return load<u32>(SHARED_BASE + SHARED_COUNTERS + ring * COUNTER_RECORD_SIZE + (counter << 3));
}

export function countDrop(ring: u32, reason: u32, frames: u32): void {
  count(ring, COUNTER_DROPS + reason, frames);
}
