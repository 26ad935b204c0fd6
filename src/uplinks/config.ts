// The configuration of an uplink. `UplinkConfigInput` is what a user may write.

import type { Quantity } from '../functions/net/config.ts';
import type { SocketMode } from '../os/unix-endpoint.ts';
import type { VlanSettings } from '../state/vlan.ts';
import type { FaultSettings } from '../wires/fault-injector.ts';

/** Where an XDP program is attached: the driver, the kernel's generic hook, or the better one. */
type XdpAttach = 'auto' | 'native' | 'generic';

/** Whether the driver moves the frames of an AF_XDP socket itself. */
type XdpZeroCopy = 'auto' | 'required' | 'never';

export interface XdpChoices {
  attach: XdpAttach;
  zeroCopy: XdpZeroCopy;
}

interface UplinkName {
  name: string;
  vlan: VlanSettings;
  /** As for a VF: for frames to the network. */
  gro: boolean;
  /** Of hosts behind it, which the switch learns. */
  addressesMax: number;
  /** In bit/s; 0: none. auto: the speed of its interface, if that is hardware. */
  capacity: number | 'auto';
  /** Bytes that each frame takes on its wire beside its own, where there is a capacity. */
  overhead: number;
  /** For tests of the layers above: see docs/uplinks.md. */
  faults?: FaultSettings | undefined;
  /** A pcapng file of the frames that pass. */
  trace?: string | undefined;
}

interface UplinkBase extends UplinkName {
  /** Largest IP packet. */
  mtu: number;
}

/** An uplink connects the NIC to a network; its type says how. */
export type UplinkConfig =
  | (UplinkBase & { type: 'loopback' | 'null' })
  | (UplinkBase & { type: 'tap'; interface: string; queues: number })
  | (UplinkBase & { type: 'passt'; program: string; arguments: string[] })
  | (UplinkBase & { type: 'stream'; socket: string; mode: SocketMode })
  | (UplinkBase & { type: 'dgram'; socket: string; peer: string })
  | (UplinkBase & { type: 'vde'; socket: string })
  /** The MTU is that of the interface. */
  | (UplinkName & { type: 'packet'; interface: string; queues: number })
  | (UplinkName & { type: 'xdp'; interface: string; queues: number } & XdpChoices);

type UplinkType = UplinkConfig['type'];

export interface UplinkConfigInput {
  name: string;
  type: UplinkType;
  mtu?: number | undefined;
  interface?: string | undefined;
  queues?: number | undefined;
  socket?: string | undefined;
  peer?: string | undefined;
  mode?: SocketMode | undefined;
  attach?: XdpAttach | undefined;
  zeroCopy?: XdpZeroCopy | undefined;
  program?: string | undefined;
  arguments?: string[] | undefined;
  faults?: Partial<FaultSettings> | undefined;
  trace?: string | undefined;
  vlan?: VlanSettings | undefined;
  gro?: boolean | undefined;
  addressesMax?: number | undefined;
  capacity?: Quantity | undefined;
  overhead?: number | undefined;
}

/** Its wires stay open if only VLANs, GRO, addressesMax, capacity or overhead change. */
export type UplinkChanges = Partial<Omit<UplinkConfigInput, 'name' | 'type'>>;
