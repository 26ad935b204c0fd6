import type { XdpStatistics } from '../os/xdp-socket.ts';
import type { CounterText } from '../state/counter-table.ts';

/** The kernel's counters of mapped sockets: AF_XDP sockets and packet sockets. */
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
    help: 'Times that the kernel found the transmit ring empty, which is harmless.',
  },
} as const satisfies Readonly<Record<keyof Omit<XdpStatistics, 'drops'>, CounterText>>;

export const KERNEL_DROPS = {
  receiveDropped: {
    unit: 'frames',
    help: 'Receiving: no free chunk, or another reason of the kernel.',
  },
  receiveInvalid: {
    unit: 'frames',
    help: 'Receiving: an entry of the fill ring named no chunk.',
  },
  receiveRingFull: {
    unit: 'frames',
    help: 'Receiving: the NIC did not keep up.',
  },
  transmitInvalid: {
    unit: 'frames',
    help: 'Sending: the kernel refused the descriptor.',
  },
} as const satisfies Readonly<Record<keyof XdpStatistics['drops'], CounterText>>;
