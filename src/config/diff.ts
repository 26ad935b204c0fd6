// A configuration is applied as a list of actions, which --dry-run prints. VFs that do not differ
// have no action, so they keep their connection and traffic.

import { asOperatorError, operatorError } from '../errors.ts';
import type { VfChanges, VfConfig } from '../functions/net/config.ts';
import type { VmmAtHand } from '../functions/net/types.ts';
import type { RngConfig } from '../functions/rng/config.ts';
import { vlanText } from '../state/vlan.ts';
import type { UplinkConfig } from '../uplinks/config.ts';
import { joined } from './problems.ts';
import type { Action, NicConfig } from './types.ts';

/** Changes that a guest does not notice; all others need a new session with the front-end. */
const CHANGED_IN_PLACE: ReadonlySet<string> = new Set<keyof VfConfig>([
  'mac',
  'allowUnsealedMemory',
  'vlan',
  'linkState',
  'gro',
]);

const VF_FIELDS = [
  'socket',
  'mode',
  'mac',
  'queuePairs',
  'mtu',
  'allowUnsealedMemory',
  'disabledFeatures',
  'enabledFeatures',
  'vlan',
  'linkState',
  'gro',
] as const;

/** Compares regardless of key order. */
function isSame(a: unknown, b: unknown): boolean {
  return textOf(a) === textOf(b);
}

function textOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `${value}`;
  if (Array.isArray(value)) return `[${value.map(textOf)}]`;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return `{${entries.sort().map(([key, one]) => `${key}:${textOf(one)}`)}}`;
}

/** The values of `wanted` that differ from those of `running`. */
function changesOf(running: VfConfig, wanted: VfConfig): VfChanges {
  const differing = VF_FIELDS.filter((field) => !isSame(running[field], wanted[field]));
  return Object.fromEntries(differing.map((field) => [field, wanted[field]])) as VfChanges;
}

/** The action that makes a VF match the wanted form, or undefined if it does. */
export function diffVf(running: VfConfig, wanted: VfConfig): Action | undefined {
  const changes = changesOf(running, wanted);
  const fields = Object.keys(changes);
  if (fields.length === 0) return undefined;
  const isInPlace = fields.every((field) => CHANGED_IN_PLACE.has(field));
  const { name } = wanted;
  if (isInPlace) return { type: 'set-vf', name, vf: wanted, changes };
  return { type: 'replace-vf', name, vf: wanted, changes, old: running };
}

/**
 * The action given the attached VMM. What that VMM cannot be given waits for the next one: the VF
 * keeps its session.
 */
export function withVmm(action: Action, vmm: VmmAtHand): Action {
  if (action.type !== 'replace-vf') return action;
  const { name, vf, changes, old } = action;
  if (old.socket !== vf.socket || old.mode !== vf.mode) {
    if (!vmm.isAttached) return action;
    return { ...action, pending: 'its VMM must be restarted for the new socket' };
  }
  if (vmm.heldBack !== undefined) {
    return { type: 'set-vf', name, vf, changes, pending: vmm.heldBack };
  }
  return vmm.isSuited ? { type: 'set-vf', name, vf, changes } : action;
}

/** The action that makes an uplink match the wanted form; wires that differ are reopened. */
export function diffUplink(running: UplinkConfig, wanted: UplinkConfig): Action | undefined {
  if (isSame(running, wanted)) return undefined;
  const { vlan, gro, addressesMax } = wanted;
  if (isSame({ ...running, vlan, gro, addressesMax }, wanted)) {
    const changes = {
      ...(isSame(running.vlan, vlan) ? {} : { vlan }),
      ...(running.gro === gro ? {} : { gro }),
      ...(running.addressesMax === addressesMax ? {} : { addressesMax }),
    };
    return { type: 'set-uplink', name: wanted.name, uplink: wanted, changes };
  }
  return { type: 'replace-uplink', name: wanted.name, uplink: wanted, old: running };
}

function diffUplinks(running: NicConfig, wanted: NicConfig): Action[] {
  const before = new Map(running.uplinks.map((uplink) => [uplink.name, uplink]));
  const after = new Set(wanted.uplinks.map((uplink) => uplink.name));
  const gone = running.uplinks.filter((uplink) => !after.has(uplink.name));
  const removals: Action[] = gone.map(({ name }) => ({ type: 'remove-uplink', name }));
  const others = wanted.uplinks.map((uplink): Action | undefined => {
    const old = before.get(uplink.name);
    if (old !== undefined) return diffUplink(old, uplink);
    return { type: 'add-uplink', name: uplink.name, uplink };
  });
  return [...removals, ...others.filter((action) => action !== undefined)];
}

function diffRngs(running: NicConfig, wanted: NicConfig): Action[] {
  const before = new Map(running.rngs.map((rng) => [rng.name, rng]));
  const after = new Set(wanted.rngs.map(({ name }) => name));
  const gone = running.rngs.filter(({ name }) => !after.has(name));
  const removals: Action[] = gone.map(({ name }) => ({ type: 'remove-rng', name }));
  const others = wanted.rngs.flatMap((rng): Action[] => {
    const { name } = rng;
    const old = before.get(name);
    if (old === undefined) return [{ type: 'add-rng', name, rng }];
    return isSame(old, rng) ? [] : [{ type: 'replace-rng', name, rng, old }];
  });
  return [...removals, ...others];
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
  actions.push(...diffUplinks(running, wanted), ...diffRngs(running, wanted));
  const { macAgeSeconds } = wanted;
  if (running.macAgeSeconds !== macAgeSeconds) {
    actions.push({ type: 'set-nic', changes: { macAgeSeconds } });
  }
  return actions;
}

/** The control socket counts only if both name one: --control may have overridden it. */
function refuseRestart(running: NicConfig, wanted: NicConfig): void {
  for (const key of ['name', 'processors', 'processorCpus', 'control'] as const) {
    const isBound = key !== 'control' || (running.control && wanted.control);
    const [before, after] = [running, wanted].map((config) => String(config[key] ?? ''));
    if (!isBound || before === after) continue;
    throw operatorError('HEDDLE_RESTART_NEEDED', {
      key,
      received: after || 'nothing',
      running: before || 'none',
    });
  }
}

/** What carries the actions out; its steps know nothing of each other. */
export interface ActionTarget {
  removeVf(name: string): Promise<void>;
  addVf(vf: VfConfig): Promise<void>;
  setVf(vf: VfConfig, changes: VfChanges): Promise<void>;
  removeUplink(name: string): Promise<void>;
  addUplink(uplink: UplinkConfig): Promise<void>;
  setUplink(uplink: UplinkConfig): Promise<void>;
  removeRng(name: string): Promise<void>;
  addRng(rng: RngConfig): Promise<void>;
  setNic(changes: { macAgeSeconds: number }): Promise<void>;
}

/**
 * Removals come first: two VFs may swap their sockets or MACs, and a new VF may take those of an
 * old one. In between, the steps must not be checked against each other.
 *
 * A VF that cannot be added (its socket may be in use) does not keep others from being added, and
 * is restored to its old form if it had one; the first such error is thrown at the end.
 */
export async function applyActions(
  actions: readonly Action[],
  target: ActionTarget,
): Promise<void> {
  for (const action of actions) {
    if (action.type === 'remove-vf' || action.type === 'replace-vf') {
      await target.removeVf(action.name);
    } else if (action.type === 'remove-uplink' || action.type === 'replace-uplink') {
      await target.removeUplink(action.name);
    } else if (action.type === 'remove-rng' || action.type === 'replace-rng') {
      await target.removeRng(action.name);
    }
  }
  // From here on failures are reported at the end: what was removed must be restored first.
  const errors: unknown[] = [];
  const attempt = (step: Promise<void>): Promise<boolean> =>
    step.then(
      () => true,
      (error: unknown) => {
        errors.push(error);
        return false;
      },
    );
  for (const action of actions) {
    if (action.type === 'set-vf') await attempt(target.setVf(action.vf, action.changes));
    if (action.type === 'set-uplink') await attempt(target.setUplink(action.uplink));
    if (action.type === 'set-nic') await attempt(target.setNic(action.changes));
  }
  await addAll(actions, target, attempt);
  if (errors.length > 0) throw together(errors);
}

/** All errors as one, or the bug of ours among them, which must not be hidden. */
function together(errors: readonly unknown[]): unknown {
  if (errors.length === 1) return errors[0];
  const known = errors.map(asOperatorError);
  const mistake = known.indexOf(undefined);
  return mistake === -1 ? joined(known.filter((error) => error !== undefined)) : errors[mistake];
}

async function addAll(
  actions: readonly Action[],
  target: ActionTarget,
  attempt: (step: Promise<void>) => Promise<boolean>,
): Promise<void> {
  const toRestore: (() => Promise<void>)[] = [];
  for (const action of actions) {
    if (action.type === 'add-vf') await attempt(target.addVf(action.vf));
    if (action.type === 'add-uplink') await attempt(target.addUplink(action.uplink));
    if (action.type === 'add-rng') await attempt(target.addRng(action.rng));
    if (action.type === 'replace-rng' && !(await attempt(target.addRng(action.rng)))) {
      toRestore.push(() => target.addRng(action.old));
    }
    if (action.type === 'replace-vf' && !(await attempt(target.addVf(action.vf)))) {
      toRestore.push(() => target.addVf(action.old));
    }
    if (action.type === 'replace-uplink' && !(await attempt(target.addUplink(action.uplink)))) {
      toRestore.push(() => target.addUplink(action.old));
    }
  }
  for (const restore of toRestore) await attempt(restore());
}

function pendingText({ pending }: { pending?: string }): string {
  return pending === undefined ? '' : `  (pending: ${pending})`;
}

/** One line per action, for people. */
export function actionText(action: Action): string {
  const list = (changes: object): string =>
    Object.entries(changes)
      .map(([key, value]) => `${key}=${key === 'vlan' ? vlanText(value) : value}`)
      .join(' ');
  switch (action.type) {
    case 'remove-vf':
      return `- ${action.name}`;
    case 'add-vf':
      return `+ ${action.name}  ${action.vf.socket}  ${action.vf.mac}`;
    case 'set-vf':
      return `~ ${action.name}  ${list(action.changes)}${pendingText(action)}`;
    case 'replace-vf':
      return `! ${action.name}  ${list(action.changes)}${pendingText(action) || '  (reconnects)'}`;
    case 'remove-uplink':
      return `- uplink ${action.name}`;
    case 'add-uplink':
      return `+ uplink ${action.name}  ${action.uplink.type}`;
    case 'set-uplink':
      return `~ uplink ${action.name}  ${list(action.changes)}`;
    case 'replace-uplink':
      return `! uplink ${action.name}  ${action.uplink.type}  (reopens)`;
    case 'remove-rng':
      return `- rng ${action.name}`;
    case 'add-rng':
      return `+ rng ${action.name}  ${action.rng.socket}`;
    case 'replace-rng':
      return `! rng ${action.name}  ${action.rng.socket}  (reconnects)`;
    case 'set-nic':
      return `~ the NIC  ${list(action.changes)}`;
  }
}
