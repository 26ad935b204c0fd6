// The configuration of a NIC. `…Input` types are what a user may write: keys with defaults may be
// omitted.

import type { Quantity, VfChanges, VfConfig, VfConfigInput } from '../functions/net/config.ts';
import type { RngConfig, RngConfigInput } from '../functions/rng/config.ts';
import type { SendingWords } from '../state/promises.ts';
import type { UplinkChanges, UplinkConfig, UplinkConfigInput } from '../uplinks/config.ts';

/** A group of VFs, which share what it is promised. */
export interface GroupConfig extends SendingWords {
  name: string;
  /** The group above, or 'none'. */
  parent: string;
}

export interface GroupConfigInput {
  name: string;
  parent?: string | undefined;
  txShare?: Quantity | undefined;
  txMax?: Quantity | undefined;
  txWeight?: number | undefined;
  txPriority?: number | undefined;
  txBurst?: Quantity | undefined;
}

/** What can change about an existing group. */
export type GroupChanges = Partial<Omit<GroupConfig, 'name'>>;

/** The same as a user writes it. */
export type GroupChangesInput = Partial<Omit<GroupConfigInput, 'name'>>;

/** The settings of a NIC itself that change while it runs. */
export interface NicChanges {
  macAgeSeconds?: number;
  capacity?: number;
}

export interface NicConfig {
  name: string;
  processors: number;
  /** One CPU per processor, or empty: they share all CPUs. */
  processorCpus: number[];
  macAgeSeconds: number;
  /** Of its virtual wire, in bit/s; 0: unlimited. */
  capacity: number;
  /** Path of the control socket, if the configuration names one. */
  control?: string | undefined;
  groups: GroupConfig[];
  vfs: VfConfig[];
  uplinks: UplinkConfig[];
  rngs: RngConfig[];
}

export interface NicConfigInput {
  name?: string | undefined;
  processors?: number | undefined;
  processorCpus?: number[] | undefined;
  macAgeSeconds?: number | undefined;
  capacity?: Quantity | undefined;
  control?: string | undefined;
  groups?: GroupConfigInput[] | undefined;
  vfs?: VfConfigInput[] | undefined;
  uplinks?: UplinkConfigInput[] | undefined;
  rngs?: RngConfigInput[] | undefined;
}

/** One step from the running configuration to the wanted one. `vf` is the complete VF after it. */
export type Action =
  | { type: 'remove-vf'; name: string }
  | {
      type: 'replace-vf';
      name: string;
      vf: VfConfig;
      changes: VfChanges;
      old: VfConfig;
      /** What has to happen to the attached VMM first. */
      pending?: string;
    }
  | { type: 'set-vf'; name: string; vf: VfConfig; changes: VfChanges; pending?: string }
  | { type: 'add-vf'; name: string; vf: VfConfig }
  | { type: 'remove-uplink'; name: string }
  | { type: 'set-uplink'; name: string; uplink: UplinkConfig; changes: UplinkChanges }
  | { type: 'replace-uplink'; name: string; uplink: UplinkConfig; old: UplinkConfig }
  | { type: 'add-uplink'; name: string; uplink: UplinkConfig }
  | { type: 'remove-rng'; name: string }
  | { type: 'add-rng'; name: string; rng: RngConfig }
  | { type: 'replace-rng'; name: string; rng: RngConfig; old: RngConfig }
  | { type: 'remove-group'; name: string }
  | { type: 'add-group'; name: string; group: GroupConfig }
  | { type: 'set-group'; name: string; group: GroupConfig; changes: GroupChanges }
  | { type: 'set-nic'; changes: NicChanges };
