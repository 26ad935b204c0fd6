// A NIC with the interface of a real one that moves no frames, to test the API and the CLI.

import { EventEmitter } from 'node:events';
import { applyActions } from '../../src/config/apply-actions.ts';
import { actionText, diffConfig, diffUplink, diffVf } from '../../src/config/diff.ts';
import { withAdded } from '../../src/config/reload.ts';
import { namesIn } from '../../src/config/sharing.ts';
import type {
  Action,
  GroupChangesInput,
  GroupConfig,
  GroupConfigInput,
  NicConfig,
  NicConfigInput,
} from '../../src/config/types.ts';
import {
  checkGroup,
  checkNewGroup,
  checkNewUplink,
  checkNewVf,
  checkRoomFor,
  completeChanges,
  completeGroup,
  completeGroupChanges,
  completeNic,
  completeUplink,
  completeVf,
} from '../../src/config/validate.ts';
import { operatorError } from '../../src/errors.ts';
import type { VfChangesInput, VfConfig, VfConfigInput } from '../../src/functions/net/config.ts';
import type { VfInfo } from '../../src/functions/net/types.ts';
import type { RngConfig } from '../../src/functions/rng/config.ts';
import type { FunctionInfo } from '../../src/functions/types.ts';
import type {
  FdbEntry,
  GroupInfo,
  Nic,
  NicEventName,
  NicEvents,
  NicListener,
  NicState,
  NicStats,
} from '../../src/nic/types.ts';
import type { AccountStats } from '../../src/state/accounts.ts';
import { readRing } from '../../src/state/counters.ts';
import type { RxStats, TxStats } from '../../src/state/stats.ts';
import type { UplinkChanges, UplinkConfig, UplinkConfigInput } from '../../src/uplinks/config.ts';
import type { UplinkInfo } from '../../src/uplinks/types.ts';

function txStats(): TxStats {
  const traffic = { packets: 11, bytes: 1100, forwarded: 10, replicas: 2, kicks: 3, interrupts: 4 };
  return { ...readRing('tx', () => 0), ...traffic, drops: { noDestination: 1 } };
}

function rxStats(): RxStats {
  const traffic = { offered: 12, packets: 10, bytes: 1000, interrupts: 5, windowMisses: 1 };
  return { ...readRing('rx', () => 0), ...traffic, drops: { ringFull: 2 } };
}

function account(bytes: number): AccountStats {
  const times = { workNanoseconds: 2000, heldNanoseconds: 100 };
  return { bytes, packets: 10, ...times, guaranteedBytes: 500 };
}

export class FakeNic implements Nic {
  readonly name: string;
  isClosed = false;
  /** Names of the VFs, in the order in which their sessions ended. */
  readonly disconnected: string[] = [];
  readonly #events = new EventEmitter();
  #config: NicConfig;
  #fileConfig: NicConfig;

  constructor(config: NicConfigInput) {
    this.#config = completeNic(config);
    this.#fileConfig = this.config();
    this.name = this.#config.name;
  }

  vfs(): VfInfo[] {
    return this.#config.vfs.map((vf) => ({
      ...vf,
      state: 'down',
      link: vf.linkState === 'disable' ? 'down' : 'up',
      processor: 0,
      features: ['VERSION_1', 'MRG_RXBUF'],
      rings: [{ queue: 0, direction: 'rx', state: 'stopped', size: 256 }],
      memoryBytes: 0,
    }));
  }

  vf(name: string): VfInfo {
    const vf = this.vfs().find((candidate) => candidate.name === name);
    if (vf === undefined) throw operatorError('HEDDLE_VF_NOT_FOUND', { vf: name });
    return vf;
  }

  async addVf(input: VfConfigInput): Promise<VfInfo> {
    const vf = completeVf(input, this.name);
    checkNewVf(vf, this.#config);
    this.#config.vfs.push(vf);
    return this.vf(vf.name);
  }

  async removeVf(name: string): Promise<void> {
    this.vf(name);
    this.#config.vfs = this.#config.vfs.filter((vf) => vf.name !== name);
    this.disconnected.push(name);
  }

  async setVf(name: string, input: VfChangesInput): Promise<VfInfo> {
    const index = this.#config.vfs.findIndex((vf) => vf.name === this.vf(name).name);
    const wanted: VfConfig = { ...this.#config.vfs[index]!, ...completeChanges(input) };
    checkRoomFor(wanted, this.#config);
    const action = diffVf(this.#config.vfs[index]!, wanted);
    if (action?.type === 'replace-vf') this.disconnected.push(name);
    this.#config.vfs[index] = wanted;
    return this.vf(name);
  }

  groups(): GroupInfo[] {
    const { groups } = this.#config;
    return groups.map((group) => ({ ...group, members: namesIn(group.name, this.#config) }));
  }

  group(name: string): GroupInfo {
    const group = this.groups().find((candidate) => candidate.name === name);
    if (group === undefined) throw operatorError('HEDDLE_GROUP_NOT_FOUND', { group: name });
    return group;
  }

  async addGroup(input: GroupConfigInput): Promise<GroupInfo> {
    const group = completeGroup(input);
    checkNewGroup(group, this.#config);
    this.#config.groups.push(group);
    return this.group(group.name);
  }

  async removeGroup(name: string): Promise<void> {
    const { members } = this.group(name);
    if (members.length > 0) {
      const parameters = { group: name, members: members.join(', ') };
      throw operatorError('HEDDLE_GROUP_NOT_EMPTY', parameters);
    }
    this.#config.groups = this.#config.groups.filter((group) => group.name !== name);
  }

  async setGroup(name: string, changes: GroupChangesInput): Promise<GroupInfo> {
    const { members: _, ...running } = this.group(name);
    const wanted = { ...running, ...completeGroupChanges(changes) };
    checkGroup(wanted, this.#config);
    this.#changeGroup(wanted);
    return this.group(name);
  }

  #changeGroup(wanted: GroupConfig): void {
    const { groups } = this.#config;
    this.#config.groups = groups.map((old) => (old.name === wanted.name ? wanted : old));
  }

  functions(): FunctionInfo[] {
    return this.#config.rngs.map((rng) => ({
      ...rng,
      ...{ kind: 'rng', state: 'faulted', processor: 0, features: [], rings: [], memoryBytes: 0 },
      lastFault: 'ring 0 is no ring',
    }));
  }

  uplinks(): UplinkInfo[] {
    return this.#config.uplinks.map((uplink) => ({ ...uplink, state: 'up', processor: 0 }));
  }

  uplink(name: string): UplinkInfo {
    const uplink = this.uplinks().find((candidate) => candidate.name === name);
    if (uplink === undefined) throw operatorError('HEDDLE_UPLINK_NOT_FOUND', { uplink: name });
    return uplink;
  }

  async addUplink(input: UplinkConfigInput): Promise<UplinkInfo> {
    const uplink = completeUplink(input);
    checkNewUplink(uplink, this.#config);
    this.#config.uplinks.push(uplink);
    return this.uplink(uplink.name);
  }

  async removeUplink(name: string): Promise<void> {
    this.uplink(name);
    this.#config.uplinks = this.#config.uplinks.filter((uplink) => uplink.name !== name);
  }

  async setUplink(name: string, changes: UplinkChanges): Promise<UplinkInfo> {
    this.uplink(name);
    const index = this.#config.uplinks.findIndex((uplink) => uplink.name === name);
    const running = this.#config.uplinks[index]!;
    const wanted = completeUplink({ ...running, ...changes });
    if (diffUplink(running, wanted) !== undefined) this.#config.uplinks[index] = wanted;
    return this.uplink(name);
  }

  async apply(input: NicConfigInput, options: { dryRun?: boolean } = {}): Promise<Action[]> {
    const actions = diffConfig(this.#config, completeNic(input));
    if (options.dryRun) return actions;
    await applyActions(actions, {
      groups: {
        remove: (name) => this.removeGroup(name),
        add: async (group: GroupConfig) => {
          this.#config.groups.push(group);
        },
        change: async (group: GroupConfig) => this.#changeGroup(group),
      },
      vfs: {
        remove: (name) => this.removeVf(name),
        add: async (vf: VfConfig) => {
          this.#config.vfs.push(vf);
        },
        change: async (vf: VfConfig) => {
          this.#config.vfs = this.#config.vfs.map((old) => (old.name === vf.name ? vf : old));
        },
      },
      uplinks: {
        remove: (name) => this.removeUplink(name),
        add: async (uplink: UplinkConfig) => {
          this.#config.uplinks.push(uplink);
        },
        change: async (uplink: UplinkConfig) => {
          const { uplinks } = this.#config;
          this.#config.uplinks = uplinks.map((old) => (old.name === uplink.name ? uplink : old));
        },
      },
      rngs: {
        remove: async (name) => {
          this.#config.rngs = this.#config.rngs.filter((rng) => rng.name !== name);
        },
        add: async (rng: RngConfig) => {
          this.#config.rngs.push(rng);
        },
        change: async () => undefined,
      },
      setNic: async (changes) => {
        this.#config = { ...this.#config, ...changes };
      },
    });
    return actions;
  }

  async reload(read: () => NicConfigInput): Promise<void> {
    const nic = this.name;
    try {
      const file = completeNic(read());
      const actions = await this.apply(withAdded(file, this.#fileConfig, this.#config));
      this.#fileConfig = file;
      this.emit('config-applied', { nic, changes: actions.map(actionText) });
    } catch (error) {
      this.emit('config-refused', { nic, reason: (error as Error).message });
    }
  }

  stats(): NicStats {
    const vfs = this.#config.vfs.map(({ name, mac }) => {
      const queues: NicStats['vfs'][number]['queues'] = [
        { queue: 0, direction: 'rx', ...rxStats() },
        { queue: 1, direction: 'tx', ...txStats() },
      ];
      return {
        name,
        mac,
        state: 'down' as const,
        link: 'up' as const,
        addresses: { learned: 2, unlearned: 0 },
        account: account(1000),
        tx: txStats(),
        rx: rxStats(),
        queues,
      };
    });
    const windows = { slots: 240, used: 8, misses: 1, evictions: 0 };
    const figures = { turns: 100, sleeps: 7, restarts: 0, vfs: vfs.length, windows };
    const processor = { index: 0, cpu: null, ...figures };
    const groups = this.#config.groups.map(({ name }) => ({ name, account: account(1000) }));
    const ports = { vfs, uplinks: [], processors: [processor] };
    return { name: this.name, uptimeSeconds: 61.5, account: account(2000), groups, ...ports };
  }

  fdb(): FdbEntry[] {
    return this.#config.vfs.map(({ name, mac, vlan }) => ({
      mac,
      vf: name,
      ...(vlan.access === undefined ? {} : { vlan: vlan.access }),
      ageSeconds: 0,
      isStatic: true,
    }));
  }

  config(): NicConfig {
    return structuredClone(this.#config);
  }

  save(): NicState {
    const { groups: _, vfs: __, uplinks: ___, rngs: ____, ...settings } = this.#config;
    const lists = { groups: [], vfs: [], uplinks: [], rngs: [] };
    return { settings, fileConfig: this.#config, sharedFd: -1, ...lists };
  }

  async handOver(): Promise<NicState> {
    return this.save();
  }

  async injectTrap(name: string): Promise<boolean> {
    this.vf(name);
    return false;
  }

  on<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void {
    this.#events.on(event, listener);
  }

  off<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void {
    this.#events.off(event, listener);
  }

  /** Reports an event, as if a guest had caused it. */
  emit<Name extends NicEventName>(event: Name, detail: NicEvents[Name]): void {
    this.#events.emit(event, detail);
  }

  listenerCount(event: NicEventName): number {
    return this.#events.listenerCount(event);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}
