// The lock of a receive ring. Needed only if more than one processor may deliver to it; held for
// one batch.
//
// The holder may have lost its CPU, or may be about to trap on this very ring. So the wait is
// short: then the turn ends, and the host sleeps for a moment before it calls again.
import { LOCK_SPINS_MAX } from '../../layout/limits';
import { RING_FAULTED, RING_STOPPED } from '../../layout/virtqueue';
import { Ring } from './ring';

let holder: u32 = 1;
let isShared: bool = false;

export function configureLocks(processor: u32, processorCount: u32): void {
  holder = processor + 1; // used to release the locks of a dead processor
  isShared = processorCount > 1;
}

/** Whether other processors may write to what both of them use. */
export function isOneOfSeveral(): bool {
  return isShared;
}

/** False if another processor holds it for too long. */
export function lock(ring: Ring): bool {
  if (!isShared) return true;
  const address = changetype<u32>(ring); // RING_LOCK is the first word
  for (let spins: u32 = 0; spins < LOCK_SPINS_MAX; spins++) {
    if (atomic.load<u32>(address) != 0) continue;
    if (atomic.cmpxchg<u32>(address, 0, holder) == 0) return true;
  }
  return false;
}

export function unlock(ring: Ring): void {
  if (!isShared) return;
  atomic.store<u32>(changetype<u32>(ring), 0);
}

/**
 * To be called with the lock held: whether a fault or trap in another processor has stopped the
 * ring. The message about it reaches this processor only between two turns.
 */
export function isStopped(ring: Ring): bool {
  return ring.state == RING_FAULTED || ring.state == RING_STOPPED;
}
