// The public types of a VF.

import type { EventOf } from '../../events.ts';
import type { AccountStats } from '../../state/accounts.ts';
import type {
  AddressStats,
  ControlStats,
  QueueStats,
  RxStats,
  TxStats,
} from '../../state/stats.ts';
import type { AttachmentEvents, FunctionState, RingInfo } from '../types.ts';
import type { VfConfig } from './config.ts';

export interface VfStats {
  name: string;
  mac: string;
  state: FunctionState;
  link: Link;
  addresses: AddressStats;
  account: AccountStats;
  tx: TxStats;
  rx: RxStats;
  queues: QueueStats[];
  /** Absent if the guest never used a control queue. */
  control?: ControlStats;
}

type Link = 'up' | 'down';

export interface VfInfo extends VfConfig {
  state: FunctionState;
  processor: number;
  features: string[];
  rings: RingInfo[];
  /** Guest memory that the front-end has shared. */
  memoryBytes: number;
  /** The effective link state, given the current uplinks. */
  link: Link;
  /** The part of the configuration that the VMM has not been given, and why. */
  pending?: string;
  /** The MTU that the VMM tells its guest, if it differs from the VF's. */
  vmmMtu?: number;
  /** Why its processor is being replaced. Its rings will be attached again in a moment. */
  recovering?: string;
  lastFault?: string;
}

/**
 * Events where a VMM attaches, and of the VF's link, which changes by configuration or with the
 * uplinks.
 */
export type VfEvents = {
  [Name in keyof AttachmentEvents]: { vf: string } & AttachmentEvents[Name];
} & {
  'link-up': { vf: string };
  'link-down': { vf: string };
};

export type VfEmit = (...event: EventOf<VfEvents>) => void;

/** How the VMM of a VF relates to a changed configuration. */
export interface VmmAtHand {
  isAttached: boolean;
  /** It has been given exactly this configuration already. */
  isSuited: boolean;
  /** What it cannot be given while it runs, in words. */
  heldBack: string | undefined;
}
