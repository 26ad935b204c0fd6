import { COUNTER_PACKETS } from '../../layout/counters.ts';
import {
  RING_DEFERRED_SINCE,
  RING_FAULT,
  RING_FAULT_NONE,
  RING_FLOOD_NEXT,
  RING_LAST_AVAIL,
  RING_LOCK,
  RING_SIGNALLED_PACKETS,
  RING_SIGNALLED_USED,
  RING_SIZE,
  RING_STATE,
  RING_USED_INDEX,
} from '../../layout/virtqueue.ts';
import type { SharedState } from '../state/shared-state.ts';
import { RING_STATE_NUMBERS } from './life-cycle.ts';
import type { Ring } from './ring.ts';
import { startPlace } from './ring-setup.ts';

/**
 * Writes the shared record of a ring that is not attached yet: the fields common to all devices.
 * The device adds its own.
 */
export function writeRingRecord(shared: SharedState, ring: Ring): void {
  const place = startPlace(ring.setup.base, ring.features);
  const fields: [number, number][] = [
    [RING_LOCK, 0],
    [RING_STATE, RING_STATE_NUMBERS[ring.cycle.state]],
    [RING_SIZE, ring.setup.size],
    [RING_LAST_AVAIL, place],
    [RING_USED_INDEX, place],
    [RING_SIGNALLED_USED, place],
    [RING_FAULT, RING_FAULT_NONE],
    [RING_SIGNALLED_PACKETS, shared.counter(ring.number, COUNTER_PACKETS) % 2 ** 32],
    [RING_DEFERRED_SINCE, 0],
    [RING_FLOOD_NEXT, 0],
  ];
  for (const [field, value] of fields) shared.setRingField(ring.number, field, value);
}
