// The NIC as its users see it: what the package exports, what the API serves, what the CLI prints.

import type { Action, NicConfig, NicConfigInput } from '../config/types.ts';
import type { VfChanges, VfConfigInput } from '../functions/net/config.ts';
import type { VfEvents, VfInfo, VfStats } from '../functions/net/types.ts';
import type { VfState } from '../functions/net/vf.ts';
import type { RngState } from '../functions/rng/rng.ts';
import type { FunctionEvent, FunctionInfo } from '../functions/types.ts';
import type { ProcessorStats } from '../processor/stats.ts';
import type { UplinkChanges, UplinkConfigInput } from '../uplinks/config.ts';
import type { UplinkEvents, UplinkInfo, UplinkStats } from '../uplinks/types.ts';
import type { UplinkState } from '../uplinks/uplink-state.ts';

export interface NicStats {
  name: string;
  uptimeSeconds: number;
  vfs: VfStats[];
  uplinks: UplinkStats[];
  processors: ProcessorStats[];
}

export interface FdbEntry {
  mac: string;
  /** The VF or the uplink behind it. */
  vf: string;
  /** The VLAN in which it is known there; `trunk`: in each of a trunk's. Left out: in none. */
  vlan?: number | 'trunk';
  ageSeconds: number;
  isStatic: boolean;
}

export interface NicEvents extends VfEvents, UplinkEvents {
  /** Something happened to a function that is no VF. */
  function: FunctionEvent;
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

/** All that a NIC holds, as plain data: see src/state/saved.ts for its descriptors. */
export interface NicState {
  settings: Omit<NicConfig, 'vfs' | 'uplinks' | 'rngs'>;
  /** What the configuration file said when it was last applied. */
  fileConfig: NicConfig;
  /** Records of rings and ports, the MAC table and the counters. */
  sharedFd: number;
  vfs: VfState[];
  uplinks: UplinkState[];
  rngs: RngState[];
}

export interface Nic {
  readonly name: string;
  vfs(): VfInfo[];
  /** Throws HEDDLE_VF_NOT_FOUND. */
  vf(name: string): VfInfo;
  addVf(config: VfConfigInput): Promise<VfInfo>;
  removeVf(name: string): Promise<void>;
  setVf(name: string, changes: VfChanges): Promise<VfInfo>;
  /** Functions that are no VFs. */
  functions(): FunctionInfo[];
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
  /** Taken while no request and no change is under way. */
  save(): NicState;
  /**
   * Makes the firmware trap on a ring, to see that only this ring stops (as `devlink health test`
   * does for hardware). False if the ring does not run.
   */
  injectTrap(name: string, queue: number): Promise<boolean>;
  on<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void;
  off<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void;
  /**
   * Leaves all that this NIC has open to another one, which is made from the state that this
   * returns (`restoreNic`). Guests wait meanwhile, and notice nothing else.
   */
  handOver(): Promise<NicState>;
  /** Stops the processors, closes every session and removes the sockets. */
  close(): Promise<void>;
}
