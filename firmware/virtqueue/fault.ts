// A ring whose driver broke it stands still until it is reset. The others carry on.
import { COUNTER_FAULT_REASONS, COUNTER_FAULTS } from '../../layout/counters';
import { FAULT_LIST_BASE } from '../../layout/memory';
import { RING_FAULTED, RING_STOPPED } from '../../layout/virtqueue';
import { count } from '../counters/counters';
import { registers } from '../memory/registers';
import { ringAt, viewAt } from './ring';

export function faultRing(ring: u32, reason: u32): void {
  stopBroken(ring, reason);
  const words = registers();
  store<u32>(FAULT_LIST_BASE + (words.faultCount << 2), ring);
  // A ring stops once until it is attached again, so the list cannot overflow.
  words.faultCount += 1;
}

/** The same for a ring of requests, of which the host hears by what its call returns. */
export function stopBroken(ring: u32, reason: u32): void {
  const record = ringAt(ring);
  record.state = RING_FAULTED;
  record.fault = reason;
  viewAt(ring).state = RING_STOPPED;
  count(ring, COUNTER_FAULTS, 1);
  count(ring, COUNTER_FAULT_REASONS + reason - 1, 1);
}
