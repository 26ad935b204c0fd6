import { SHARED_BASE, SHARED_RINGS } from '../../layout/memory.ts';
import { RING_RECORD_SIZE } from '../../layout/virtqueue.ts';

/** Address of a ring's shared record in a processor's linear memory. */
export function ringRecordAt(ring: number): number {
  return SHARED_BASE + SHARED_RINGS + ring * RING_RECORD_SIZE;
}
