// An uplink as its users see it.

import type { EventOf } from '../events.ts';
import type { AddressStats, QueueStats, RxStats, TxStats } from '../state/stats.ts';
import type { WireStats } from '../wires/wire-stats.ts';
import type { UplinkConfig } from './config.ts';
import type { KernelStats } from './kernel-stats.ts';

/** An uplink, seen as a guest: `tx` is from the world into the switch, `rx` to the world. */

/** What an uplink can do; the switch adapts each frame to it, as to a guest's features. */
export interface UplinkCapabilities {
  /** Largest IP packet; Ethernet's own header comes on top. */
  mtu: number;
  /** Frames may come and go with their checksum undone. */
  checksum: boolean;
  /** Frames may come with their checksum undone although none may go so. */
  checksumFromWorld?: boolean;
  /** Super-frames may come and go: TCP's, or UDP's too. */
  segmentation: 'none' | 'tcp' | 'tcp and udp';
  /** Frames carry a virtio-net header to the outside. */
  vnetHeader: boolean;
  /** Frames that one system call moves. */
  burst: number;
  /** Wires side by side, each with a queue pair of its own. */
  queues: number;
  /** How an AF_XDP socket gets its frames: where its program is, and who copies them. */
  mode?: string;
}

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

/**
 * down: its interface, its peer or its process is not there. held: it makes a loop with another.
 */
type UplinkState = 'down' | 'up' | 'held';

export type UplinkInfo = UplinkConfig & {
  state: UplinkState;
  processor: number;
  /** What it can do while it is up. */
  capabilities?: UplinkCapabilities;
  /** A processor of its queues is being replaced, and why. */
  recovering?: string;
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
