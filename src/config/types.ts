// What a NIC is configured with. `…Input` is what a user may write: whatever has a default may be
// left out.

import type { VlanSettings } from '../switch/vlan.ts';
import type { FaultSettings } from '../uplinks/fault-injector.ts';
import type { OptionalFeature, SwitchableFeature } from '../vhost-user/features.ts';

type VfMode = 'server' | 'client';

/** Where an XDP program goes: into the driver, the kernel's generic place, or the better one. */
type XdpAttach = 'auto' | 'native' | 'generic';

/** Whether the driver moves an AF_XDP socket's frames itself. */
type XdpZeroCopy = 'auto' | 'required' | 'never';

/** As SR-IOV has it: the link is up while an uplink is, always, or never. */
export type LinkState = 'auto' | 'enable' | 'disable';

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
  /** Names of those that it offers only if it is told to. */
  enabledFeatures: OptionalFeature[];
  vlan: VlanSettings;
  linkState: LinkState;
  /** TCP frames that come for the VF in one burst are joined, if its guest takes super-frames. */
  gro: boolean;
}

interface UplinkName {
  name: string;
  vlan: VlanSettings;
  /** As for a VF: of what goes to the world. */
  gro: boolean;
  /** Of stations behind it, that the switch learns. */
  addressesMax: number;
  /** For tests of what is above: see docs/uplinks.md. */
  faults?: FaultSettings | undefined;
  /** A pcapng file of what passes. */
  trace?: string | undefined;
}

interface UplinkBase extends UplinkName {
  /** Largest IP packet. */
  mtu: number;
}

/** An uplink connects the NIC to the world; its type says to which part of it. */
export type UplinkConfig =
  | (UplinkBase & { type: 'loopback' | 'null' })
  | (UplinkBase & { type: 'tap'; interface: string; queues: number })
  | (UplinkBase & { type: 'passt'; program: string; arguments: string[] })
  | (UplinkBase & { type: 'stream'; socket: string; mode: VfMode })
  | (UplinkBase & { type: 'dgram'; socket: string; peer: string })
  | (UplinkBase & { type: 'vde'; socket: string })
  /** The MTU is the interface's own. */
  | (UplinkName & { type: 'packet'; interface: string; queues: number })
  | (UplinkName & { type: 'xdp'; interface: string; queues: number } & XdpChoices);

export interface XdpChoices {
  attach: XdpAttach;
  zeroCopy: XdpZeroCopy;
}

type UplinkType = UplinkConfig['type'];

export interface UplinkConfigInput {
  name: string;
  type: UplinkType;
  mtu?: number | undefined;
  interface?: string | undefined;
  queues?: number | undefined;
  socket?: string | undefined;
  peer?: string | undefined;
  mode?: VfMode | undefined;
  attach?: XdpAttach | undefined;
  zeroCopy?: XdpZeroCopy | undefined;
  program?: string | undefined;
  arguments?: string[] | undefined;
  faults?: Partial<FaultSettings> | undefined;
  trace?: string | undefined;
  vlan?: VlanSettings | undefined;
  gro?: boolean | undefined;
  addressesMax?: number | undefined;
}

/** What can change about an uplink. Its wires stay open for VLANs, GRO and addressesMax. */
export type UplinkChanges = Partial<Omit<UplinkConfigInput, 'name' | 'type'>>;

export interface NicConfig {
  name: string;
  processors: number;
  /** One CPU for each processor, or none: they share what there is. */
  processorCpus: number[];
  macAgeSeconds: number;
  /** Path of the control socket, when the configuration names one. */
  control?: string | undefined;
  vfs: VfConfig[];
  uplinks: UplinkConfig[];
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
  enabledFeatures?: OptionalFeature[] | undefined;
  vlan?: VlanSettings | undefined;
  linkState?: LinkState | undefined;
  gro?: boolean | undefined;
}

export interface NicConfigInput {
  name?: string | undefined;
  processors?: number | undefined;
  processorCpus?: number[] | undefined;
  macAgeSeconds?: number | undefined;
  control?: string | undefined;
  vfs?: VfConfigInput[] | undefined;
  uplinks?: UplinkConfigInput[] | undefined;
}

/** What can change about a VF that exists; its name cannot. */
export type VfChanges = Partial<Omit<VfConfig, 'name'>>;

/** One step from the running configuration to the wanted one. `vf` is the complete VF after it. */
export type Action =
  | { type: 'remove-vf'; name: string }
  | {
      type: 'replace-vf';
      name: string;
      vf: VfConfig;
      changes: VfChanges;
      old: VfConfig;
      /** What the VMM that is attached has to do with it. */
      pending?: string;
    }
  | { type: 'set-vf'; name: string; vf: VfConfig; changes: VfChanges; pending?: string }
  | { type: 'add-vf'; name: string; vf: VfConfig }
  | { type: 'remove-uplink'; name: string }
  | { type: 'set-uplink'; name: string; uplink: UplinkConfig; changes: UplinkChanges }
  | { type: 'replace-uplink'; name: string; uplink: UplinkConfig; old: UplinkConfig }
  | { type: 'add-uplink'; name: string; uplink: UplinkConfig }
  | { type: 'set-nic'; changes: { macAgeSeconds: number } };
