// The NIC as its users see it: what the package exports, what the API serves, what the CLI prints.

import type {
  Action,
  NicConfig,
  NicConfigInput,
  UplinkChanges,
  UplinkConfig,
  UplinkConfigInput,
  VfChanges,
  VfConfig,
  VfConfigInput,
} from '../config/types.ts';
import type { XdpStatistics } from '../os/xdp-socket.ts';
import type { UplinkCapabilities } from '../uplinks/uplink.ts';

export type {
  Action,
  NicConfig,
  NicConfigInput,
  UplinkChanges,
  UplinkConfig,
  UplinkConfigInput,
  VfChanges,
  VfConfig,
  VfConfigInput,
};

/**
 * down: no front-end. connected: the socket is open. ready: at least one ring runs.
 * faulted: a ring or the session was stopped by a fault.
 */
export type VfState = 'down' | 'connected' | 'ready' | 'faulted';

/** Times that a ring was stopped, or could not start, because of what its guest or VMM did. */
export interface RingFaults {
  faults: number;
  /** By reason (docs/ring-faults.md); those that are not 0. */
  faultReasons: Record<string, number>;
}

/** From the guest: packets = forwarded + Σ drops. */
export interface TxStats extends RingFaults {
  packets: number;
  bytes: number;
  /** Frames that went to one destination at least. */
  forwarded: number;
  /** Further copies that flooding made. */
  replicas: number;
  kicks: number;
  interrupts: number;
  windowMisses: number;
  drops: Record<string, number>;
}

/** To the guest: offered = packets + coalesced + Σ drops. */
export interface RxStats extends RingFaults {
  /** Frames that the switch meant for this VF. */
  offered: number;
  /** Further frames that segmentation made of super-frames, among `offered`. */
  segments: number;
  /** Frames that were joined to one before them (GRO), and arrived as part of it. */
  coalesced: number;
  /** Checksums completed for this VF. */
  checksums: number;
  packets: number;
  bytes: number;
  interrupts: number;
  windowMisses: number;
  drops: Record<string, number>;
}

export type QueueStats =
  | ({ queue: number; direction: 'tx' } & TxStats)
  | ({ queue: number; direction: 'rx' } & RxStats);

/** Addresses behind a port, as the switch learned them. */
export interface AddressStats {
  /** In the MAC table now. The VF's own is not among them. */
  learned: number;
  /** Frames from an address that was not learned: the port's limit, or a full table. */
  unlearned: number;
}

/** A control queue that the front-end forwards. */
export interface ControlStats extends RingFaults {
  commands: number;
  /** Answered with an error: malformed, not negotiated, or beyond what the VF has. */
  refused: number;
  kicks: number;
  interrupts: number;
  /** Chains that could not be read, and answers that had no place. */
  drops: Record<string, number>;
}

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

/** What an uplink's driver saw of the world. */
export interface WireStats {
  received: number;
  receivedBytes: number;
  /** Frames that the world took: rx.packets = sent + Σ drops, but for `malformed`. */
  sent: number;
  sentBytes: number;
  /** Times that the world took no more, and frames waited in the ring. */
  blocked: number;
  drops: {
    /** To the world: longer than the MTU, and no super-frame. */
    tooLong: number;
    /** To the world: the kernel refused this very frame. */
    refused: number;
    /** To the world: it waited when the link was lost. */
    linkLost: number;
    /** From the world: cut off, or longer than any frame. */
    malformed: number;
    /** A fault injector did so on purpose. */
    injected: number;
  };
}

/** An uplink, seen as a guest: `tx` is from the world into the switch, `rx` to the world. */
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

/** What the kernel has counted of sockets that are mapped: AF_XDP's and packet sockets'. */
export interface KernelStats extends Partial<Omit<XdpStatistics, 'drops'>> {
  drops: Partial<XdpStatistics['drops']>;
}

export interface ProcessorStats {
  index: number;
  /** The CPU that it has for itself, or null. */
  cpu: number | null;
  turns: number;
  sleeps: number;
  restarts: number;
  vfs: number;
  windows: { slots: number; used: number; misses: number; evictions: number };
}

export interface NicStats {
  name: string;
  uptimeSeconds: number;
  vfs: VfStats[];
  uplinks: UplinkStats[];
  processors: ProcessorStats[];
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

/**
 * down: its interface, its peer or its process is not there. held: it makes a loop with another.
 */
type UplinkState = 'down' | 'up' | 'held';

export type UplinkInfo = UplinkConfig & {
  state: UplinkState;
  processor: number;
  /** What it can do while it is up. */
  capabilities?: UplinkCapabilities;
  /** Why it is down, or held. */
  reason?: string;
};

export interface FdbEntry {
  mac: string;
  /** The VF or the uplink behind it. */
  vf: string;
  /** The VLAN in which it is known there; `trunk`: in each of a trunk's. Left out: in none. */
  vlan?: number | 'trunk';
  ageSeconds: number;
  isStatic: boolean;
}

export interface NicEvents {
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
  'uplink-up': { uplink: string };
  'uplink-down': { uplink: string; reason?: string };
  /** It makes a loop with another uplink. `uplink-up` follows when it is tried again. */
  'uplink-held': { uplink: string; reason?: string };
  /** The configuration file was read again. `changes`: a line for each thing that changed. */
  'config-applied': { nic: string; changes: string[] };
  /** It was read again and has a mistake: nothing changed. Or the system refused a part of it. */
  'config-refused': { nic: string; reason: string };
  /** A change (of the API) takes longer than it may, or has ended after it did. */
  'change-overdue': { nic: string; reason: string };
  /** A mistake of Heddle's own: the NIC goes on without what it was about to do. */
  'internal-error': { nic: string; reason: string };
}

export type NicEventName = keyof NicEvents;

export type NicListener<Name extends NicEventName> = (event: NicEvents[Name]) => void;

export interface Nic {
  readonly name: string;
  vfs(): VfInfo[];
  /** Throws HEDDLE_VF_NOT_FOUND. */
  vf(name: string): VfInfo;
  addVf(config: VfConfigInput): Promise<VfInfo>;
  removeVf(name: string): Promise<void>;
  setVf(name: string, changes: VfChanges): Promise<VfInfo>;
  uplinks(): UplinkInfo[];
  /** Throws HEDDLE_UPLINK_NOT_FOUND. */
  uplink(name: string): UplinkInfo;
  addUplink(config: UplinkConfigInput): Promise<UplinkInfo>;
  removeUplink(name: string): Promise<void>;
  /** Replaces the uplink by one with these changes, unless only its VLANs do; its name stays. */
  setUplink(name: string, changes: UplinkChanges): Promise<UplinkInfo>;
  /** Makes the NIC what the configuration says, and touches only the VFs that differ. */
  apply(config: NicConfigInput, options?: { dryRun?: boolean }): Promise<Action[]>;
  /**
   * Applies another reading of the configuration file that the NIC came from, and tells by an event
   * what came of it. VFs and uplinks that were added since stay; a bad file changes nothing.
   */
  reload(read: () => NicConfigInput): Promise<void>;
  stats(): NicStats;
  fdb(): FdbEntry[];
  config(): NicConfig;
  /**
   * Makes the firmware trap on a ring, to see that only this ring stops (as `devlink health test`
   * does for hardware). False if the ring does not run.
   */
  injectTrap(name: string, queue: number): Promise<boolean>;
  on<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void;
  off<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void;
  /** Stops the processors, closes every session and removes the sockets. */
  close(): Promise<void>;
}
