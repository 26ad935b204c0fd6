import type { XdpStatistics } from '../os/xdp-socket.ts';
import type { CounterText } from '../state/counter-table.ts';

/** What the kernel has counted of sockets that are mapped: AF_XDP's and packet sockets'. */
export interface KernelStats extends Partial<Omit<XdpStatistics, 'drops'>> {
  drops: Partial<XdpStatistics['drops']>;
}

export const KERNEL_COUNTERS = {
  fillRingEmpty: {
    unit: 'events',
    help: 'Times that the kernel found the fill ring empty.',
  },
  transmitRingEmpty: {
    unit: 'events',
    help: 'Times that the kernel found the transmit ring empty, which is nothing amiss.',
  },
} as const satisfies Readonly<Record<keyof Omit<XdpStatistics, 'drops'>, CounterText>>;

export const KERNEL_DROPS = {
  receiveDropped: {
    unit: 'frames',
    help: "From the world: no chunk to put it into, or another reason of the kernel's.",
  },
  receiveInvalid: {
    unit: 'frames',
    help: 'From the world: the fill ring named no chunk.',
  },
  receiveRingFull: {
    unit: 'frames',
    help: 'From the world: the NIC did not keep up.',
  },
  transmitInvalid: {
    unit: 'frames',
    help: 'To the world: the descriptor was refused.',
  },
} as const satisfies Readonly<Record<keyof XdpStatistics['drops'], CounterText>>;
