import type { RingSet } from '../virtqueue/ring-set.ts';
import type { RingInfo } from './types.ts';

const DIRECTIONS = {
  receive: 'rx',
  transmit: 'tx',
  control: 'control',
  request: 'request',
} as const;

/** A function's rings, running or set aside, as an operator sees them. */
export function ringInfos(rings: RingSet): RingInfo[] {
  return rings.queues().map((queue) => {
    const fault = rings.faultOf(queue);
    return {
      queue,
      direction: DIRECTIONS[rings.role(queue) ?? 'control'],
      state: rings.state(queue),
      size: rings.size(queue),
      ...(fault === undefined ? {} : { fault }),
    };
  });
}
