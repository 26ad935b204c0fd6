import { SHARED_BASE, SHARED_RINGS } from '../../layout/memory.ts';
import { RING_RECORD_SIZE } from '../../layout/virtqueue.ts';

/** Where the shared record of a ring lies in a processor's linear memory. */
export function ringRecordAt(ring: number): number {
  return SHARED_BASE + SHARED_RINGS + ring * RING_RECORD_SIZE;
}
