import { QUEUE_COUNT_MAX, RING_COUNT_MAX } from '../../layout/limits.ts';

/** In place of the virtqueue number of a control queue, which depends on what was negotiated. */
export const CONTROL_QUEUE = -1;

/** The NIC's number of a ring of a VF; `queue` is a virtqueue, or CONTROL_QUEUE. */
export function ringNumber(vf: number, queue: number): number {
  return queue === CONTROL_QUEUE ? RING_COUNT_MAX + vf : vf * QUEUE_COUNT_MAX + queue;
}

/** The VF, or uplink, that a ring belongs to. */
export function portOfRing(ring: number): number {
  return ring < RING_COUNT_MAX ? Math.floor(ring / QUEUE_COUNT_MAX) : ring - RING_COUNT_MAX;
}

export function queueOfRing(ring: number): number {
  return ring < RING_COUNT_MAX ? ring % QUEUE_COUNT_MAX : CONTROL_QUEUE;
}
