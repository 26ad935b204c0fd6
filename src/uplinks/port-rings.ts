import { createRingSetup, type RingSetup } from '../virtqueue/ring-setup.ts';
import {
  PAIR_SIZE,
  PORT_RING_SIZE,
  RX_AVAIL,
  RX_DESCRIPTORS,
  RX_USED,
  TX_AVAIL,
  TX_DESCRIPTORS,
  TX_USED,
} from '../wires/port-memory.ts';

/** Ring numbers as in virtio-net: even ones receive, odd ones transmit. */
export function portRingSetup(queue: number, callFds: readonly number[]): RingSetup {
  const start = BigInt((queue >> 1) * PAIR_SIZE);
  const at = (offset: number) => start + BigInt(offset);
  const isTransmit = queue % 2 === 1;
  const addresses = isTransmit
    ? { descriptors: at(TX_DESCRIPTORS), avail: at(TX_AVAIL), used: at(TX_USED) }
    : { descriptors: at(RX_DESCRIPTORS), avail: at(RX_AVAIL), used: at(RX_USED) };
  // No kicks: the driver runs between the turns of the processor that owns the ring.
  const fd = callFds[queue >> 1];
  const call = isTransmit || fd === undefined ? null : { fd, kind: 'eventfd' as const };
  return { ...createRingSetup(), size: PORT_RING_SIZE, addresses, call, isEnabled: true };
}
