// A VF as its users see it.

import type { EventOf } from '../../events.ts';
import type {
  AddressStats,
  ControlStats,
  QueueStats,
  RxStats,
  TxStats,
} from '../../state/stats.ts';
import type { VfConfig } from './config.ts';

/**
 * down: no front-end. connected: the socket is open. ready: at least one ring runs.
 * faulted: a ring or the session was stopped by a fault.
 */
export type VfState = 'down' | 'connected' | 'ready' | 'faulted';

export interface VfStats {
  name: string;
  mac: string;
  state: VfState;
  link: Link;
  addresses: AddressStats;
  tx: TxStats;
  rx: RxStats;
  queues: QueueStats[];
  /** Left out where the guest never used one. */
  control?: ControlStats;
}

export interface RingInfo {
  queue: number;
  direction: string;
  state: string;
  size: number;
  /** Why it is faulted. */
  fault?: string;
}

type Link = 'up' | 'down';

export interface VfInfo extends VfConfig {
  state: VfState;
  processor: number;
  features: string[];
  rings: RingInfo[];
  memoryBytes: number;
  /** What the link state comes to, with the uplinks as they are. */
  link: Link;
  /** What of the configuration the VMM has not been given, and why. */
  pending?: string;
  /** The MTU that the VMM tells its guest, where it is not that of the VF. */
  vmmMtu?: number;
  lastFault?: string;
}

export interface VfEvents {
  connect: { vf: string };
  ready: { vf: string };
  reset: { vf: string };
  /** `reason`: why the NIC closed the connection, when the front-end was to blame. */
  disconnect: { vf: string; reason?: string };
  fault: { vf: string; queue?: number; reason: string };
  /** Its rings made the firmware trap again and again: none of them runs for so long. */
  hold: { vf: string; seconds: number; reason: string };
  release: { vf: string };
  /** The link of a VF changed, by its configuration or with the uplinks. */
  'link-up': { vf: string };
  'link-down': { vf: string };
}

export type VfEmit = (...event: EventOf<VfEvents>) => void;

/** What the VMM of a VF makes of a new form of it. */
export interface VmmAtHand {
  isAttached: boolean;
  /** It has been given just this already. */
  isSuited: boolean;
  /** What it cannot be given while it runs, in words. */
  heldBack: string | undefined;
}
