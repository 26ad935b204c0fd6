// The types of an uplink that its users see.

import type { EventOf } from '../events.ts';
import type { AccountStats } from '../state/accounts.ts';
import type { AddressStats, QueueStats, RxStats, TxStats } from '../state/stats.ts';
import type { WireStats } from '../wires/wire-stats.ts';
import type { UplinkConfig } from './config.ts';
import type { KernelStats } from './kernel-stats.ts';

/** What an uplink can do; the switch adapts each frame to it, as to a guest's features. */
export interface UplinkCapabilities {
  /** Largest IP packet, without the Ethernet header. */
  mtu: number;
  /** Frames may be received and sent with incomplete checksums. */
  checksum: boolean;
  /** Frames may be received with incomplete checksums, although none may be sent so. */
  checksumFromWorld?: boolean;
  /** Super-frames may be received and sent: of TCP, or of UDP too. */
  segmentation: 'none' | 'tcp' | 'tcp and udp';
  /** Frames carry a virtio-net header on the wire. */
  vnetHeader: boolean;
  /** Frames that one system call moves. */
  burst: number;
  /** Parallel wires, each with its own queue pair. */
  queues: number;
  /** Bit/s of the interface, if it is hardware and tells. */
  speed?: number;
  /** Details in words, such as where an AF_XDP program is attached and who copies frames. */
  mode?: string;
}

/** `tx`: from the network into the switch; `rx`: to the network. */
export interface UplinkStats {
  name: string;
  type: UplinkConfig['type'];
  state: UplinkState;
  addresses: AddressStats;
  account: AccountStats;
  tx: TxStats;
  rx: RxStats;
  queues: QueueStats[];
  wire: WireStats;
  kernel?: KernelStats;
}

/** down: its interface, its peer or its process is missing. held: it makes a loop with another. */
type UplinkState = 'down' | 'up' | 'held';

export type UplinkInfo = UplinkConfig & {
  state: UplinkState;
  processor: number;
  /** What it can do while it is up. */
  capabilities?: UplinkCapabilities;
  /** Why a processor of its queues is being replaced. */
  recovering?: string;
  /** Why it is down or held. */
  reason?: string;
};

export interface UplinkEvents {
  'uplink-up': { uplink: string };
  'uplink-down': { uplink: string; reason?: string };
  /** It makes a loop with another uplink. `uplink-up` follows when it is retried. */
  'uplink-held': { uplink: string; reason?: string };
}

export type UplinkEmit = (...event: EventOf<UplinkEvents>) => void;
