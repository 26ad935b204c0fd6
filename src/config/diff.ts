// A configuration is applied as a list of actions, which --dry-run prints. VFs that do not differ
// have no action, so they keep their connection and traffic.

import { operatorError } from '../errors.ts';
import type { VfChanges, VfConfig } from '../functions/net/config.ts';
import type { VmmAtHand } from '../functions/net/types.ts';
import type { RngConfig } from '../functions/rng/config.ts';
import { vlanText } from '../state/vlan.ts';
import type { UplinkConfig } from '../uplinks/config.ts';
import { valueText } from './rates.ts';
import { groupsAbove } from './sharing.ts';
import type { Action, GroupChanges, GroupConfig, NicChanges, NicConfig } from './types.ts';

/** What a VF is promised. */
const SHARING_FIELDS = [
  'group',
  'txShare',
  'txMax',
  'txWeight',
  'txPriority',
  'txBurst',
  'txMaxPackets',
  'rxMax',
  'rxMaxPackets',
] as const;

/** Changes that a guest does not notice; all others need a new session with the front-end. */
const CHANGED_IN_PLACE: ReadonlySet<string> = new Set<keyof VfConfig>([
  'mac',
  'allowUnsealedMemory',
  'vlan',
  'linkState',
  'gro',
  ...SHARING_FIELDS,
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
  ...SHARING_FIELDS,
] as const;

const GROUP_FIELDS = ['parent', 'txShare', 'txMax', 'txWeight', 'txPriority', 'txBurst'] as const;

const UPLINK_CHANGED_IN_PLACE = ['vlan', 'gro', 'addressesMax', 'capacity', 'overhead'] as const;

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
function changesOf<Config extends object, Field extends keyof Config>(
  running: Config,
  wanted: Config,
  fields: readonly Field[],
): Partial<Pick<Config, Field>> {
  const differing = fields.filter((field) => !isSame(running[field], wanted[field]));
  return Object.fromEntries(differing.map((field) => [field, wanted[field]])) as Partial<
    Pick<Config, Field>
  >;
}

/** The action that makes a VF match the wanted form, or undefined if it does. */
export function diffVf(running: VfConfig, wanted: VfConfig): Action | undefined {
  const changes: VfChanges = changesOf(running, wanted, VF_FIELDS);
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
  const changes = changesOf(running, wanted, UPLINK_CHANGED_IN_PLACE);
  if (isSame({ ...running, ...changes }, wanted)) {
    return { type: 'set-uplink', name: wanted.name, uplink: wanted, changes };
  }
  return { type: 'replace-uplink', name: wanted.name, uplink: wanted, old: running };
}

function diffGroup(running: GroupConfig, wanted: GroupConfig): Action | undefined {
  const changes: GroupChanges = changesOf(running, wanted, GROUP_FIELDS);
  if (Object.keys(changes).length === 0) return undefined;
  return { type: 'set-group', name: wanted.name, group: wanted, changes };
}

/** How the functions of one kind, or groups, come, go and change. */
interface KindActions<Config> {
  add(config: Config): Action;
  remove(name: string): Action;
  /** The action that gives one the wanted form; undefined if it has it. */
  change(running: Config, wanted: Config): Action | undefined;
}

const VFS: KindActions<VfConfig> = {
  add: (vf) => ({ type: 'add-vf', name: vf.name, vf }),
  remove: (name) => ({ type: 'remove-vf', name }),
  change: diffVf,
};

const UPLINKS: KindActions<UplinkConfig> = {
  add: (uplink) => ({ type: 'add-uplink', name: uplink.name, uplink }),
  remove: (name) => ({ type: 'remove-uplink', name }),
  change: diffUplink,
};

const GROUPS: KindActions<GroupConfig> = {
  add: (group) => ({ type: 'add-group', name: group.name, group }),
  remove: (name) => ({ type: 'remove-group', name }),
  change: diffGroup,
};

const RNGS: KindActions<RngConfig> = {
  add: (rng) => ({ type: 'add-rng', name: rng.name, rng }),
  remove: (name) => ({ type: 'remove-rng', name }),
  change: (old, rng) => {
    return isSame(old, rng) ? undefined : { type: 'replace-rng', name: rng.name, rng, old };
  },
};

function diffKind<Config extends { name: string }>(
  running: readonly Config[],
  wanted: readonly Config[],
  kind: KindActions<Config>,
): Action[] {
  const before = new Map(running.map((one) => [one.name, one]));
  const after = new Set(wanted.map(({ name }) => name));
  const gone = running.filter(({ name }) => !after.has(name));
  const others = wanted.map((one) => {
    const old = before.get(one.name);
    return old === undefined ? kind.add(one) : kind.change(old, one);
  });
  const removals = gone.map(({ name }) => kind.remove(name));
  return [...removals, ...others.filter((action) => action !== undefined)];
}

/** Groups in the order in which they can be removed. */
function deepestFirst(groups: readonly GroupConfig[]): GroupConfig[] {
  const known = new Map(groups.map((group) => [group.name, group]));
  const depth = (group: GroupConfig): number => groupsAbove(group, known)?.length ?? 0;
  return [...groups].sort((a, b) => depth(b) - depth(a));
}

export function diffConfig(running: NicConfig, wanted: NicConfig): Action[] {
  refuseRestart(running, wanted);
  const groups = diffKind(deepestFirst(running.groups), wanted.groups, GROUPS);
  const actions = [
    ...groups.filter(({ type }) => type !== 'remove-group'),
    ...diffKind(running.vfs, wanted.vfs, VFS),
    ...diffKind(running.uplinks, wanted.uplinks, UPLINKS),
    ...diffKind(running.rngs, wanted.rngs, RNGS),
    ...groups.filter(({ type }) => type === 'remove-group'),
  ];
  const changes: NicChanges = changesOf(running, wanted, ['macAgeSeconds', 'capacity']);
  if (Object.keys(changes).length > 0) actions.push({ type: 'set-nic', changes });
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

function pendingText({ pending }: { pending?: string }): string {
  return pending === undefined ? '' : `  (pending: ${pending})`;
}

/** One line per action, for people. */
export function actionText(action: Action): string {
  const list = (changes: object): string =>
    Object.entries(changes)
      .map(([key, value]) => `${key}=${key === 'vlan' ? vlanText(value) : valueText(key, value)}`)
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
    case 'remove-group':
      return `- group ${action.name}`;
    case 'add-group':
      return `+ group ${action.name}`;
    case 'set-group':
      return `~ group ${action.name}  ${list(action.changes)}`;
    case 'set-nic':
      return `~ the NIC  ${list(action.changes)}`;
  }
}
