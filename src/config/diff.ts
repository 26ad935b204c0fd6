// A configuration is applied as a list of actions, which --dry-run prints. VFs that do not differ
// have no action, and so keep their connection and their traffic.

import { operatorError } from '../errors.ts';
import type { Action, NicConfig, VfChanges, VfConfig } from './types.ts';

/** What a guest does not notice; every other change needs a new session with the front-end. */
const CHANGED_IN_PLACE: ReadonlySet<string> = new Set<keyof VfConfig>([
  'mac',
  'allowUnsealedMemory',
]);

const VF_FIELDS = [
  'socket',
  'mode',
  'mac',
  'queuePairs',
  'mtu',
  'allowUnsealedMemory',
  'disabledFeatures',
] as const;

/** The values of `wanted` that differ from those of `running`. */
function changesOf(running: VfConfig, wanted: VfConfig): VfChanges {
  const differing = VF_FIELDS.filter((field) => `${running[field]}` !== `${wanted[field]}`);
  return Object.fromEntries(differing.map((field) => [field, wanted[field]])) as VfChanges;
}

/** The action that gives a VF the wanted form, or nothing if it has it. */
export function diffVf(running: VfConfig, wanted: VfConfig): Action | undefined {
  const changes = changesOf(running, wanted);
  const fields = Object.keys(changes);
  if (fields.length === 0) return undefined;
  const isInPlace = fields.every((field) => CHANGED_IN_PLACE.has(field));
  const { name } = wanted;
  if (isInPlace) return { type: 'set-vf', name, vf: wanted, changes };
  return { type: 'replace-vf', name, vf: wanted, changes, old: running };
}

export function diffConfig(running: NicConfig, wanted: NicConfig): Action[] {
  refuseRestart(running, wanted);
  const before = new Map(running.vfs.map((vf) => [vf.name, vf]));
  const after = new Set(wanted.vfs.map((vf) => vf.name));
  const actions: Action[] = running.vfs
    .filter((vf) => !after.has(vf.name))
    .map(({ name }) => ({ type: 'remove-vf', name }));
  for (const vf of wanted.vfs) {
    const old = before.get(vf.name);
    const action: Action | undefined =
      old === undefined ? { type: 'add-vf', name: vf.name, vf } : diffVf(old, vf);
    if (action !== undefined) actions.push(action);
  }
  const { macAgeSeconds } = wanted;
  if (running.macAgeSeconds !== macAgeSeconds) {
    actions.push({ type: 'set-nic', changes: { macAgeSeconds } });
  }
  return actions;
}

/** The control socket counts only if both name one: --control may have chosen it instead. */
function refuseRestart(running: NicConfig, wanted: NicConfig): void {
  for (const key of ['name', 'processors', 'control'] as const) {
    const isBound = key !== 'control' || (running.control && wanted.control);
    if (!isBound || running[key] === wanted[key]) continue;
    throw operatorError('HEDDLE_RESTART_NEEDED', {
      key,
      received: wanted[key] ?? 'nothing',
      running: running[key] ?? 'none',
    });
  }
}

/** What carries the actions out: three steps that know nothing of each other, and the NIC's own. */
export interface ActionTarget {
  removeVf(name: string): Promise<void>;
  addVf(vf: VfConfig): Promise<void>;
  setVf(vf: VfConfig, changes: VfChanges): Promise<void>;
  setNic(changes: { macAgeSeconds: number }): Promise<void>;
}

/**
 * Everything that goes, goes first: two VFs may exchange their sockets or their MACs, and a new VF
 * may take those of an old one. In between, the steps must not be checked against each other.
 *
 * A VF that cannot be added (its socket may be in use) keeps no other from coming, and comes back
 * in its old form if it had one; the first such error is thrown in the end.
 */
export async function applyActions(
  actions: readonly Action[],
  target: ActionTarget,
): Promise<void> {
  for (const action of actions) {
    if (action.type === 'remove-vf' || action.type === 'replace-vf') {
      await target.removeVf(action.name);
    }
  }
  for (const action of actions) {
    if (action.type === 'set-vf') await target.setVf(action.vf, action.changes);
    if (action.type === 'set-nic') await target.setNic(action.changes);
  }
  const errors: unknown[] = [];
  const add = (vf: VfConfig): Promise<boolean> =>
    target.addVf(vf).then(
      () => true,
      (error: unknown) => {
        errors.push(error);
        return false;
      },
    );
  const toRestore: VfConfig[] = [];
  for (const action of actions) {
    if (action.type !== 'add-vf' && action.type !== 'replace-vf') continue;
    const isThere = await add(action.vf);
    if (!isThere && action.type === 'replace-vf') toRestore.push(action.old);
  }
  for (const vf of toRestore) await add(vf);
  if (errors.length > 0) throw errors[0];
}

/** One line per action, for people. */
export function actionText(action: Action): string {
  const list = (changes: object): string =>
    Object.entries(changes)
      .map(([key, value]) => `${key}=${value}`)
      .join(' ');
  switch (action.type) {
    case 'remove-vf':
      return `- ${action.name}`;
    case 'add-vf':
      return `+ ${action.name}  ${action.vf.socket}  ${action.vf.mac}`;
    case 'set-vf':
      return `~ ${action.name}  ${list(action.changes)}`;
    case 'replace-vf':
      return `! ${action.name}  ${list(action.changes)}  (reconnects)`;
    case 'set-nic':
      return `~ the NIC  ${list(action.changes)}`;
  }
}
