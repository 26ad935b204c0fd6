// An uplink as its users see it.

import type { EventOf } from '../events.ts';
import type { XdpStatistics } from '../os/xdp-socket.ts';
import type { AddressStats, QueueStats, RxStats, TxStats } from '../state/stats.ts';
import type { WireStats } from '../wires/wire-stats.ts';
import type { UplinkConfig } from './config.ts';
import type { UplinkCapabilities } from './uplink.ts';

/** An uplink, seen as a guest: `tx` is from the world into the switch, `rx` to the world. */
export interface UplinkStats {
  name: string;
  type: UplinkConfig['type'];
  state: UplinkState;
  addresses: AddressStats;
  tx: TxStats;
  rx: RxStats;
  queues: QueueStats[];
  wire: WireStats;
  kernel?: KernelStats;
}

/** What the kernel has counted of sockets that are mapped: AF_XDP's and packet sockets'. */
export interface KernelStats extends Partial<Omit<XdpStatistics, 'drops'>> {
  drops: Partial<XdpStatistics['drops']>;
}

/**
 * down: its interface, its peer or its process is not there. held: it makes a loop with another.
 */
type UplinkState = 'down' | 'up' | 'held';

export type UplinkInfo = UplinkConfig & {
  state: UplinkState;
  processor: number;
  /** What it can do while it is up. */
  capabilities?: UplinkCapabilities;
  /** Why it is down, or held. */
  reason?: string;
};

export interface UplinkEvents {
  'uplink-up': { uplink: string };
  'uplink-down': { uplink: string; reason?: string };
  /** It makes a loop with another uplink. `uplink-up` follows when it is tried again. */
  'uplink-held': { uplink: string; reason?: string };
}

export type UplinkEmit = (...event: EventOf<UplinkEvents>) => void;
