// Carries out the actions that lead from one configuration to another.

import { asOperatorError } from '../errors.ts';
import type { VfConfig } from '../functions/net/config.ts';
import type { RngConfig } from '../functions/rng/config.ts';
import type { UplinkConfig } from '../uplinks/config.ts';
import { joined } from './problems.ts';
import type { Action, GroupConfig, NicChanges } from './types.ts';

/** Functions of one kind: steps that know nothing of each other. */
interface FunctionTarget<Config> {
  add(config: Config): Promise<void>;
  remove(name: string): Promise<void>;
  /** Changes one that keeps running. */
  change(config: Config): Promise<void>;
}

/** What carries the actions out. */
export interface ActionTarget {
  readonly groups: FunctionTarget<GroupConfig>;
  readonly vfs: FunctionTarget<VfConfig>;
  readonly uplinks: FunctionTarget<UplinkConfig>;
  readonly rngs: FunctionTarget<RngConfig>;
  setNic(changes: NicChanges): Promise<void>;
}

/** What an action does, by the phases in which all actions are carried out. */
interface Step {
  /** Before anything else: others may name what this makes. */
  readonly prepare?: () => Promise<void>;
  readonly remove?: () => Promise<void>;
  readonly change?: () => Promise<void>;
  readonly add?: () => Promise<void>;
  /** Adds what was removed, because `add` failed. */
  readonly restore?: () => Promise<void>;
  /** After everything else: until then, others may name what this removes. */
  readonly finish?: () => Promise<void>;
}

function replacing<Config>(
  target: FunctionTarget<Config>,
  name: string,
  { wanted, old }: { wanted: Config; old: Config },
): Step {
  return {
    remove: () => target.remove(name),
    add: () => target.add(wanted),
    restore: () => target.add(old),
  };
}

function stepOf(action: Action, targets: ActionTarget): Step {
  const { groups, vfs, uplinks, rngs } = targets;
  switch (action.type) {
    case 'remove-vf':
      return { remove: () => vfs.remove(action.name) };
    case 'add-vf':
      return { add: () => vfs.add(action.vf) };
    case 'set-vf':
      return { change: () => vfs.change(action.vf) };
    case 'replace-vf':
      return replacing(vfs, action.name, { wanted: action.vf, old: action.old });
    case 'remove-uplink':
      return { remove: () => uplinks.remove(action.name) };
    case 'add-uplink':
      return { add: () => uplinks.add(action.uplink) };
    case 'set-uplink':
      return { change: () => uplinks.change(action.uplink) };
    case 'replace-uplink':
      return replacing(uplinks, action.name, { wanted: action.uplink, old: action.old });
    case 'remove-rng':
      return { remove: () => rngs.remove(action.name) };
    case 'add-rng':
      return { add: () => rngs.add(action.rng) };
    case 'replace-rng':
      return replacing(rngs, action.name, { wanted: action.rng, old: action.old });
    case 'remove-group':
      return { finish: () => groups.remove(action.name) };
    case 'add-group':
      return { prepare: () => groups.add(action.group) };
    case 'set-group':
      return { prepare: () => groups.change(action.group) };
    case 'set-nic':
      return { change: () => targets.setNic(action.changes) };
  }
}

/**
 * Groups come before what is in them, and go after it. Of the rest, removals come first: two VFs
 * may swap their sockets or MACs, and a new VF may take those of an old one. In between, the steps
 * must not be checked against each other.
 *
 * A function that cannot be added (its socket may be in use) does not keep others from being added,
 * and is restored to its old form if it had one; the first such error is thrown at the end.
 */
export async function applyActions(
  actions: readonly Action[],
  targets: ActionTarget,
): Promise<void> {
  const steps = actions.map((action) => stepOf(action, targets));
  for (const step of steps) await step.prepare?.();
  for (const step of steps) await step.remove?.();
  // From here on failures are reported at the end: what was removed must be restored first.
  const errors: unknown[] = [];
  const attempt = async (work: (() => Promise<void>) | undefined): Promise<boolean> => {
    try {
      await work?.();
      return true;
    } catch (error) {
      errors.push(error);
      return false;
    }
  };
  for (const step of steps) await attempt(step.change);
  const failed: Step[] = [];
  for (const step of steps) if (!(await attempt(step.add))) failed.push(step);
  for (const step of failed) await attempt(step.restore);
  for (const step of steps) await attempt(step.finish);
  if (errors.length > 0) throw together(errors);
}

/** All errors as one, or the bug of ours among them, which must not be hidden. */
function together(errors: readonly unknown[]): unknown {
  if (errors.length === 1) return errors[0];
  const known = errors.map(asOperatorError);
  const mistake = known.indexOf(undefined);
  return mistake === -1 ? joined(known.filter((error) => error !== undefined)) : errors[mistake];
}
