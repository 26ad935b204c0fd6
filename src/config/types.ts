// The configuration of a NIC. `…Input` types are what a user may write: keys with defaults may be
// omitted.

import type { VfChanges, VfConfig, VfConfigInput } from '../functions/net/config.ts';
import type { RngConfig, RngConfigInput } from '../functions/rng/config.ts';
import type { UplinkChanges, UplinkConfig, UplinkConfigInput } from '../uplinks/config.ts';

export interface NicConfig {
  name: string;
  processors: number;
  /** One CPU per processor, or empty: they share all CPUs. */
  processorCpus: number[];
  macAgeSeconds: number;
  /** Path of the control socket, if the configuration names one. */
  control?: string | undefined;
  vfs: VfConfig[];
  uplinks: UplinkConfig[];
  rngs: RngConfig[];
}

export interface NicConfigInput {
  name?: string | undefined;
  processors?: number | undefined;
  processorCpus?: number[] | undefined;
  macAgeSeconds?: number | undefined;
  control?: string | undefined;
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
  | { type: 'set-nic'; changes: { macAgeSeconds: number } };
