// Configuration of a VF. `VfConfigInput` is what a user writes; fields with a default are optional.

import type { SocketMode } from '../../os/unix-endpoint.ts';
import type { FunctionWords } from '../../state/promises.ts';
import type { VlanSettings } from '../../state/vlan.ts';
import type { OptionalFeature, SwitchableFeature } from './features.ts';

/** As in SR-IOV: the link is up while an uplink is up, always, or never. */
export type LinkState = 'auto' | 'enable' | 'disable';

/** A number, or text with a unit: see src/config/rates.ts. */
export type Quantity = number | string;

export interface VfConfig extends FunctionWords {
  name: string;
  socket: string;
  /** server: the NIC listens. client: the VMM listens, and the NIC connects and reconnects. */
  mode: SocketMode;
  mac: string;
  queuePairs: number;
  mtu: number;
  allowUnsealedMemory: boolean;
  /** Names of virtio features that the VF does not offer. */
  disabledFeatures: SwitchableFeature[];
  /** Names of virtio features that are offered only if listed here. */
  enabledFeatures: OptionalFeature[];
  vlan: VlanSettings;
  linkState: LinkState;
  /** Join TCP frames that arrive for the VF in one burst, if its guest accepts super-frames. */
  gro: boolean;
  /** The group that it shares with others, or 'none'. */
  group: string;
}

export interface VfConfigInput {
  name: string;
  socket: string;
  mode?: SocketMode | undefined;
  mac?: string | undefined;
  queuePairs?: number | undefined;
  mtu?: number | undefined;
  allowUnsealedMemory?: boolean | undefined;
  disabledFeatures?: SwitchableFeature[] | undefined;
  enabledFeatures?: OptionalFeature[] | undefined;
  vlan?: VlanSettings | undefined;
  linkState?: LinkState | undefined;
  gro?: boolean | undefined;
  group?: string | undefined;
  txShare?: Quantity | undefined;
  txMax?: Quantity | undefined;
  txWeight?: number | undefined;
  txPriority?: number | undefined;
  txBurst?: Quantity | undefined;
  txMaxPackets?: Quantity | undefined;
  rxMax?: Quantity | undefined;
  rxMaxPackets?: Quantity | undefined;
}

/** What can change about an existing VF; its name cannot. */
export type VfChanges = Partial<Omit<VfConfig, 'name'>>;

/** The same as a user writes it. */
export type VfChangesInput = Partial<Omit<VfConfigInput, 'name'>>;
