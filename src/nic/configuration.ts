import { applyActions } from '../config/apply-actions.ts';
import { diffConfig, withVmm } from '../config/diff.ts';
import { withAdded } from '../config/reload.ts';
import type { Action, NicConfig } from '../config/types.ts';
import { completeNic } from '../config/validate.ts';
import type { ProcessorSet } from '../processor/processor-set.ts';
import type { Kinds } from './kinds.ts';
import type { Schedule } from './schedule.ts';
import type { NicState } from './types.ts';

interface Parts {
  kinds: Kinds;
  processors: ProcessorSet;
  schedule: Schedule;
}

/** The configuration of a NIC, and how another one is applied. */
export class Configuration {
  readonly settings: NicState['settings'];
  /** The configuration file as it was last applied. */
  #file: NicConfig;
  readonly #kinds: Kinds;
  readonly #processors: ProcessorSet;
  readonly #schedule: Schedule;

  constructor(
    { settings, fileConfig }: Pick<NicState, 'settings' | 'fileConfig'>,
    { kinds, processors, schedule }: Parts,
  ) {
    this.settings = settings;
    this.#file = fileConfig;
    this.#kinds = kinds;
    this.#processors = processors;
    this.#schedule = schedule;
  }

  /** A copy, because a caller that edits and applies it must not edit what it is compared with. */
  current(): NicConfig {
    const { vfs, uplinks, rngs } = this.#kinds;
    const functions = { vfs: vfs.configs(), rngs: rngs.configs() };
    const lists = {
      ...functions,
      groups: this.#schedule.groups.configs(),
      uplinks: uplinks.configs(),
    };
    return structuredClone({ ...this.settings, ...lists });
  }

  save(): Pick<NicState, 'settings' | 'fileConfig'> {
    return structuredClone({ settings: this.settings, fileConfig: this.#file });
  }

  async apply(input: unknown, options: { dryRun?: boolean }): Promise<Action[]> {
    const wanted = completeNic(input);
    const actions = this.#actionsTo(wanted);
    if (options.dryRun === true) return actions;
    this.#file = wanted;
    await this.#carryOut(actions);
    return actions;
  }

  /** Applies the file as it was read again, and keeps what was added since the last time. */
  async applyFile(input: unknown): Promise<Action[]> {
    const file = completeNic(input);
    const wanted = completeNic(withAdded(file, this.#file, this.current()));
    const actions = this.#actionsTo(wanted);
    this.#file = file;
    await this.#carryOut(actions);
    return actions;
  }

  /** Carries out an action on one VF or uplink; undefined if nothing changes. */
  async change(action: Action | undefined): Promise<void> {
    if (action !== undefined) await this.#carryOut([this.#fit(action)]);
  }

  #actionsTo(wanted: NicConfig): Action[] {
    return diffConfig(this.current(), wanted).map((action) => this.#fit(action));
  }

  /** Fits an action to the VMM of its VF, if one is attached. */
  #fit(action: Action): Action {
    if (action.type !== 'replace-vf') return action;
    const vf = this.#kinds.vfs.find(action.name);
    return vf === undefined ? action : withVmm(action, vf.vmmFor(action.vf));
  }

  #carryOut(actions: readonly Action[]): Promise<void> {
    return applyActions(actions, {
      ...this.#kinds,
      groups: this.#schedule.groups,
      setNic: async (changes) => {
        Object.assign(this.settings, changes);
        const { macAgeSeconds } = changes;
        if (macAgeSeconds !== undefined) await this.#processors.setMacAge(macAgeSeconds);
        await this.#schedule.write();
      },
    });
  }
}
