import { PORT_RECEIVE_COUNT, PORT_RECEIVE_QUEUES } from '../../../layout/port.ts';
import type { Ring } from '../../virtqueue/ring.ts';

/** The receive queues that take frames, among the first `pairs` pairs. */
export function enabledReceiveQueues(rings: Iterable<Ring>, pairs: number): number[] {
  return [...rings]
    .filter(({ role, queue, cycle }) => {
      return role === 'receive' && cycle.is('enabled') && queue < 2 * pairs;
    })
    .map(({ queue }) => queue)
    .sort((a, b) => a - b);
}

/** Lists a port's receive queues for the switch. `record`: byte offset of the port's record. */
export function writeReceiveQueues(
  view: DataView,
  record: number,
  queues: readonly number[],
  count: number,
): void {
  // The count never exceeds the list: it shrinks before the list changes, and grows after.
  const before = view.getUint32(record + PORT_RECEIVE_COUNT, true);
  view.setUint32(record + PORT_RECEIVE_COUNT, Math.min(before, queues.length), true);
  queues.forEach((queue, index) => {
    view.setUint8(record + PORT_RECEIVE_QUEUES + index, queue);
  });
  view.setUint32(record + PORT_RECEIVE_COUNT, count, true);
}
