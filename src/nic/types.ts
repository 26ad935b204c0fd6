// The NIC as its users see it: the package exports these types, the API serves them, and the CLI
// prints them.

import type {
  Action,
  GroupChangesInput,
  GroupConfig,
  GroupConfigInput,
  NicConfig,
  NicConfigInput,
} from '../config/types.ts';
import type { VfChangesInput, VfConfigInput } from '../functions/net/config.ts';
import type { VfEvents, VfInfo, VfStats } from '../functions/net/types.ts';
import type { VfState } from '../functions/net/vf.ts';
import type { RngState } from '../functions/rng/rng.ts';
import type { FunctionEvent, FunctionInfo } from '../functions/types.ts';
import type { ProcessorStats } from '../processor/stats.ts';
import type { AccountStats } from '../state/accounts.ts';
import type { UplinkChanges, UplinkConfigInput } from '../uplinks/config.ts';
import type { UplinkEvents, UplinkInfo, UplinkStats } from '../uplinks/types.ts';
import type { UplinkState } from '../uplinks/uplink-state.ts';

export interface NicStats {
  name: string;
  uptimeSeconds: number;
  /** Of the NIC as a whole. */
  account: AccountStats;
  groups: GroupStats[];
  vfs: VfStats[];
  uplinks: UplinkStats[];
  processors: ProcessorStats[];
}

export interface GroupStats {
  name: string;
  account: AccountStats;
}

export interface GroupInfo extends GroupConfig {
  /** The groups and VFs that are directly in it. */
  members: string[];
}

export interface FdbEntry {
  mac: string;
  /** The VF or the uplink behind it. */
  vf: string;
  /** The VLAN in which it is known; `trunk`: in every VLAN of a trunk. Missing: in none. */
  vlan?: number | 'trunk';
  ageSeconds: number;
  isStatic: boolean;
}

export interface NicEvents extends VfEvents, UplinkEvents {
  /** Something happened to a function that is not a VF. */
  function: FunctionEvent;
  /** The configuration file was read again. `changes`: a line for each thing that changed. */
  'config-applied': { nic: string; changes: string[] };
  /** It was read again and has an error: nothing changed. Or the system refused a part of it. */
  'config-refused': { nic: string; reason: string };
  /** A change (of the API) exceeds its time, or has ended after exceeding it. */
  'change-overdue': { nic: string; reason: string };
  /** An error of Heddle: the NIC continues without the action that failed. */
  'internal-error': { nic: string; reason: string };
}

export type NicEventName = keyof NicEvents;

export type NicListener<Name extends NicEventName> = (event: NicEvents[Name]) => void;

export interface GroupState {
  config: GroupConfig;
  /** Its node in the schedule. */
  node: number;
}

/** The state of a NIC as plain data. For its descriptors see src/state/saved.ts. */
export interface NicState {
  settings: Omit<NicConfig, 'groups' | 'vfs' | 'uplinks' | 'rngs'>;
  /** The configuration file as it was last applied. */
  fileConfig: NicConfig;
  /** Records of rings and ports, the MAC table and the counters. */
  sharedFd: number;
  groups: GroupState[];
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
  setVf(name: string, changes: VfChangesInput): Promise<VfInfo>;
  groups(): GroupInfo[];
  /** Throws HEDDLE_GROUP_NOT_FOUND. */
  group(name: string): GroupInfo;
  addGroup(config: GroupConfigInput): Promise<GroupInfo>;
  /** Throws HEDDLE_GROUP_NOT_EMPTY. */
  removeGroup(name: string): Promise<void>;
  setGroup(name: string, changes: GroupChangesInput): Promise<GroupInfo>;
  /** Functions that are not VFs. */
  functions(): FunctionInfo[];
  uplinks(): UplinkInfo[];
  /** Throws HEDDLE_UPLINK_NOT_FOUND. */
  uplink(name: string): UplinkInfo;
  addUplink(config: UplinkConfigInput): Promise<UplinkInfo>;
  removeUplink(name: string): Promise<void>;
  /** Replaces the uplink by a changed one of the same name, unless all changes are in place. */
  setUplink(name: string, changes: UplinkChanges): Promise<UplinkInfo>;
  /** Makes the NIC match the configuration. Touches only the VFs that differ. */
  apply(config: NicConfigInput, options?: { dryRun?: boolean }): Promise<Action[]>;
  /**
   * Reads the configuration file of the NIC again and applies it. An event reports the outcome. VFs
   * and uplinks that were added since then stay; a file with errors changes nothing.
   */
  reload(read: () => NicConfigInput): Promise<void>;
  stats(): NicStats;
  fdb(): FdbEntry[];
  config(): NicConfig;
  /** To be called while no request and no change is under way. */
  save(): NicState;
  /**
   * Makes the firmware trap on a ring, to test that only this ring stops (as `devlink health test`
   * does for hardware). False if the ring is not running.
   */
  injectTrap(name: string, queue: number): Promise<boolean>;
  on<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void;
  off<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void;
  /**
   * Leaves everything that this NIC has open to another one, which is made from the returned state
   * (`restoreNic`). Guests wait in the meantime and notice nothing else.
   */
  handOver(): Promise<NicState>;
  /** Stops the processors, closes every session and removes the sockets. */
  close(): Promise<void>;
}
