// What a VF is configured with. `VfConfigInput` is what a user may write: what has a default may be
// left out.

import type { SocketMode } from '../../os/unix-endpoint.ts';
import type { VlanSettings } from '../../state/vlan.ts';
import type { OptionalFeature, SwitchableFeature } from './features.ts';

/** As SR-IOV has it: the link is up while an uplink is, always, or never. */
export type LinkState = 'auto' | 'enable' | 'disable';

export interface VfConfig {
  name: string;
  socket: string;
  /** server: the NIC listens; client: the VMM listens, and the NIC connects and reconnects. */
  mode: SocketMode;
  mac: string;
  queuePairs: number;
  mtu: number;
  allowUnsealedMemory: boolean;
  /** Names of virtio features that the VF does not offer. */
  disabledFeatures: SwitchableFeature[];
  /** Names of those that it offers only if it is told to. */
  enabledFeatures: OptionalFeature[];
  vlan: VlanSettings;
  linkState: LinkState;
  /** TCP frames that come for the VF in one burst are joined, if its guest takes super-frames. */
  gro: boolean;
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
}

/** What can change about a VF that exists; its name cannot. */
export type VfChanges = Partial<Omit<VfConfig, 'name'>>;
