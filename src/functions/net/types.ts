// A VF as its users see it.

import type { EventOf } from '../../events.ts';
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
  tx: TxStats;
  rx: RxStats;
  queues: QueueStats[];
  /** Left out where the guest never used one. */
  control?: ControlStats;
}

type Link = 'up' | 'down';

export interface VfInfo extends VfConfig {
  state: FunctionState;
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
  /** Its processor is being replaced, and why: its rings are attached again in a moment. */
  recovering?: string;
  lastFault?: string;
}

/**
 * What happens where a VMM attaches, and to the link of the VF: by its configuration or with the
 * uplinks.
 */
export type VfEvents = {
  [Name in keyof AttachmentEvents]: { vf: string } & AttachmentEvents[Name];
} & {
  'link-up': { vf: string };
  'link-down': { vf: string };
};

export type VfEmit = (...event: EventOf<VfEvents>) => void;

/** What the VMM of a VF makes of a new form of it. */
export interface VmmAtHand {
  isAttached: boolean;
  /** It has been given just this already. */
  isSuited: boolean;
  /** What it cannot be given while it runs, in words. */
  heldBack: string | undefined;
}
