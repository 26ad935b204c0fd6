// The lock of a receive ring. Taken only where more than one processor may deliver to it; held for
// one batch.
import { Ring } from './ring';

let holder: u32 = 1;
let isShared: bool = false;

export function configureLocks(processor: u32, processorCount: u32): void {
  holder = processor + 1; // the supervisor frees what a dead processor held by this number
  isShared = processorCount > 1;
}

export function lock(ring: Ring): void {
  if (!isShared) return;
  const address = changetype<u32>(ring);
  while (atomic.cmpxchg<u32>(address, 0, holder) != 0) {}
}

export function unlock(ring: Ring): void {
  if (!isShared) return;
  atomic.store<u32>(changetype<u32>(ring), 0); // RING_LOCK is the first word
}
