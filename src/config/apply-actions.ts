// Carries out the actions that lead from one configuration to another.

import { asOperatorError } from '../errors.ts';
import { joined } from './problems.ts';
import type { Action } from './types.ts';

/** The lists of a configuration, by the word for one of each in the names of actions. */
const LISTS = { vf: 'vfs', uplink: 'uplinks', rng: 'rngs' } as const;

type Word = keyof typeof LISTS;

/** Functions of one kind: steps that know nothing of each other. */
interface FunctionTarget {
  add(config: object): Promise<void>;
  remove(name: string): Promise<void>;
  /** Gives one that goes on another form. */
  change(config: object): Promise<void>;
}

/** What carries the actions out: a target for each kind, and the NIC's own. */
export type ActionTarget = Readonly<Record<(typeof LISTS)[Word], FunctionTarget>> & {
  setNic(changes: { macAgeSeconds: number }): Promise<void>;
};

/** An action on a function, whatever its kind. */
interface Step {
  verb: 'add' | 'remove' | 'replace' | 'set';
  target: FunctionTarget;
  name: string;
  /** What it is to become, and what it was. */
  wanted: object;
  old: object;
}

function stepOf(action: Action, targets: ActionTarget): Step | null {
  if (action.type === 'set-nic') return null;
  const [verb, word] = action.type.split('-') as [Step['verb'], Word];
  const { name, old = {}, ...rest } = action as { name: string; old?: object };
  const wanted = (rest as Partial<Record<Word, object>>)[word] ?? {};
  return { verb, target: targets[LISTS[word]], name, wanted, old };
}

/**
 * Removals come first: two VFs may swap their sockets or MACs, and a new VF may take those of an
 * old one. In between, the steps must not be checked against each other.
 *
 * A function that cannot be added (its socket may be in use) does not keep others from being added,
 * and is restored to its old form if it had one; the first such error is thrown at the end.
 */
export async function applyActions(
  actions: readonly Action[],
  targets: ActionTarget,
): Promise<void> {
  const steps = actions.map((action) => stepOf(action, targets)).filter((step) => step !== null);
  for (const { verb, target, name } of steps) {
    if (verb === 'remove' || verb === 'replace') await target.remove(name);
  }
  // From here on failures are reported at the end: what was removed must be restored first.
  const errors: unknown[] = [];
  const attempt = async (step: Promise<void>): Promise<boolean> => {
    try {
      await step;
      return true;
    } catch (error) {
      errors.push(error);
      return false;
    }
  };
  for (const { verb, target, wanted } of steps) {
    if (verb === 'set') await attempt(target.change(wanted));
  }
  for (const action of actions) {
    if (action.type === 'set-nic') await attempt(targets.setNic(action.changes));
  }
  const failed: Step[] = [];
  for (const step of steps) {
    const isNew = step.verb === 'add' || step.verb === 'replace';
    if (isNew && !(await attempt(step.target.add(step.wanted)))) failed.push(step);
  }
  for (const { verb, target, old } of failed) {
    if (verb === 'replace') await attempt(target.add(old));
  }
  if (errors.length > 0) throw together(errors);
}

/** All errors as one, or the bug of ours among them, which must not be hidden. */
function together(errors: readonly unknown[]): unknown {
  if (errors.length === 1) return errors[0];
  const known = errors.map(asOperatorError);
  const mistake = known.indexOf(undefined);
  return mistake === -1 ? joined(known.filter((error) => error !== undefined)) : errors[mistake];
}
