// Stops a ring that its driver broke, until it is reset. Other rings are not affected.
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
  // A ring faults at most once until it is attached again, so the list cannot overflow.
  words.faultCount += 1;
}

/** The same for a request ring: the host learns of it from the result of its call. */
export function stopBroken(ring: u32, reason: u32): void {
  const record = ringAt(ring);
  record.state = RING_FAULTED;
  record.fault = reason;
  viewAt(ring).state = RING_STOPPED;
  count(ring, COUNTER_FAULTS, 1);
  count(ring, COUNTER_FAULT_REASONS + reason - 1, 1);
}
