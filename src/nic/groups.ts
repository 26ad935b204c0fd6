import { GROUP_COUNT_MAX, NODE_FIRST_GROUP } from '../../layout/limits.ts';
import { namesIn } from '../config/sharing.ts';
import type { GroupConfig, NicConfig } from '../config/types.ts';
import {
  checkGroup,
  checkNewGroup,
  completeGroup,
  completeGroupChanges,
} from '../config/validate.ts';
import { operatorError } from '../errors.ts';
import type { VfConfig } from '../functions/net/config.ts';
import { readAccount } from '../state/accounts.ts';
import type { SharedState } from '../state/shared-state.ts';
import type { GroupInfo, GroupState, GroupStats } from './types.ts';

interface Surroundings {
  shared: SharedState;
  vfs(): readonly VfConfig[];
  /** Writes what everything is promised now. */
  writePromises(): Promise<void>;
}

/** The groups of a NIC by name, and their nodes in the schedule. */
export class Groups {
  readonly #groups = new Map<string, GroupState>();
  readonly #around: Surroundings;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  all(): readonly GroupState[] {
    return [...this.#groups.values()];
  }

  configs(): GroupConfig[] {
    return this.all().map(({ config }) => config);
  }

  infos(): GroupInfo[] {
    return this.all().map(({ config }) => this.#infoOf(config));
  }

  /** Throws HEDDLE_GROUP_NOT_FOUND. */
  info(name: string): GroupInfo {
    return this.#infoOf(this.#find(name).config);
  }

  stats(): GroupStats[] {
    const { view } = this.#around.shared;
    return this.all().map(({ config: { name }, node }) => {
      return { name, account: readAccount(view, node) };
    });
  }

  /** 0 if there is no such group. */
  nodeOf(name: string): number {
    return this.#groups.get(name)?.node ?? 0;
  }

  /** Adds what a user asks for, if it suits the NIC as it is. */
  async create(input: unknown, nic: NicConfig): Promise<GroupInfo> {
    const config = completeGroup(input);
    checkNewGroup(config, nic);
    await this.add(config);
    return this.info(config.name);
  }

  /** Makes the changes that a user asks for, if they suit the NIC as it is. */
  async edit(name: string, changes: unknown, nic: NicConfig): Promise<GroupInfo> {
    const wanted = { ...this.#find(name).config, ...completeGroupChanges(changes) };
    checkGroup(wanted, nic);
    await this.change(wanted);
    return this.info(name);
  }

  async add(config: GroupConfig): Promise<void> {
    const taken = new Set(this.all().map(({ node }) => node));
    let node = NODE_FIRST_GROUP;
    while (taken.has(node)) node++;
    if (node >= NODE_FIRST_GROUP + GROUP_COUNT_MAX) {
      const parameters = { limit: GROUP_COUNT_MAX, received: config.name };
      throw operatorError('HEDDLE_TOO_MANY_GROUPS', parameters);
    }
    this.#around.shared.openAccount(node);
    this.#groups.set(config.name, { config, node });
    await this.#around.writePromises();
  }

  async change(config: GroupConfig): Promise<void> {
    this.#groups.set(config.name, { ...this.#find(config.name), config });
    await this.#around.writePromises();
  }

  /** Throws HEDDLE_GROUP_NOT_EMPTY. */
  async remove(name: string): Promise<void> {
    const { members } = this.info(name);
    if (members.length > 0) {
      const parameters = { group: name, members: members.join(', ') };
      throw operatorError('HEDDLE_GROUP_NOT_EMPTY', parameters);
    }
    this.#groups.delete(name);
    await this.#around.writePromises();
  }

  save(): GroupState[] {
    return structuredClone(this.all()) as GroupState[];
  }

  restore(states: readonly GroupState[]): void {
    for (const { config, node } of states) {
      this.#groups.set(config.name, { config: structuredClone(config), node });
    }
  }

  #find(name: string): GroupState {
    const group = this.#groups.get(name);
    if (group === undefined) throw operatorError('HEDDLE_GROUP_NOT_FOUND', { group: name });
    return group;
  }

  #infoOf(config: GroupConfig): GroupInfo {
    const all = { vfs: this.#around.vfs(), groups: this.configs() };
    return { ...config, members: namesIn(config.name, all) };
  }
}
