// What a NIC is configured with. `…Input` is what a user may write: whatever has a default may be
// left out.

import type { SwitchableFeature } from '../vhost-user/features.ts';

type VfMode = 'server' | 'client';

export interface VfConfig {
  name: string;
  socket: string;
  /** server: the NIC listens; client: the VMM listens, and the NIC connects and reconnects. */
  mode: VfMode;
  mac: string;
  queuePairs: number;
  mtu: number;
  allowUnsealedMemory: boolean;
  /** Names of virtio features that the VF does not offer. */
  disabledFeatures: SwitchableFeature[];
}

export interface NicConfig {
  name: string;
  processors: number;
  macAgeSeconds: number;
  /** Path of the control socket, when the configuration names one. */
  control?: string | undefined;
  vfs: VfConfig[];
}

export interface VfConfigInput {
  name: string;
  socket: string;
  mode?: VfMode | undefined;
  mac?: string | undefined;
  queuePairs?: number | undefined;
  mtu?: number | undefined;
  allowUnsealedMemory?: boolean | undefined;
  disabledFeatures?: SwitchableFeature[] | undefined;
}

export interface NicConfigInput {
  name?: string | undefined;
  processors?: number | undefined;
  macAgeSeconds?: number | undefined;
  control?: string | undefined;
  vfs?: VfConfigInput[] | undefined;
}

/** What can change about a VF that exists; its name cannot. */
export type VfChanges = Partial<Omit<VfConfig, 'name'>>;

/** One step from the running configuration to the wanted one. `vf` is the complete VF after it. */
export type Action =
  | { type: 'remove-vf'; name: string }
  | { type: 'replace-vf'; name: string; vf: VfConfig; changes: VfChanges; old: VfConfig }
  | { type: 'set-vf'; name: string; vf: VfConfig; changes: VfChanges }
  | { type: 'add-vf'; name: string; vf: VfConfig }
  | { type: 'set-nic'; changes: { macAgeSeconds: number } };
