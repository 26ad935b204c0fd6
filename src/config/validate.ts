// From what a user wrote to a complete configuration: validated, with defaults and MACs, and
// without conflicts between VFs.

import { GROUP_COUNT_MAX, PORT_COUNT_MAX } from '../../layout/limits.ts';
import { type OperatorError, operatorError } from '../errors.ts';
import type { VfChanges, VfConfig } from '../functions/net/config.ts';
import type { UplinkConfig } from '../uplinks/config.ts';
import { deriveMac } from './mac.ts';
import {
  type KeyPath,
  keyText,
  type Locate,
  problemsOf,
  type Root,
  throwProblems,
} from './problems.ts';
import { RNG_KEYS } from './rng-schema.ts';
import {
  NIC_KEYS,
  nicSchema,
  VF_CHANGE_KEYS,
  VF_KEYS,
  vfChangesSchema,
  vfSchema,
} from './schema.ts';
import { sharingConflicts } from './sharing.ts';
import {
  GROUP_CHANGE_KEYS,
  GROUP_KEYS,
  groupChangesSchema,
  groupSchema,
} from './sharing-schema.ts';
import type { GroupChanges, GroupConfig, NicConfig } from './types.ts';
import { uplinkKeys, uplinkSchema } from './uplink-schema.ts';
import { VLAN_KEYS } from './vlan-schema.ts';

const nicRoot: Root = {
  label: 'the NIC',
  keysAt: (path, value) => {
    if (isVlan(path)) return VLAN_KEYS;
    if (path[0] === 'uplinks') return uplinkKeys(typeOf(value));
    if (path[0] === 'rngs') return RNG_KEYS;
    if (path[0] === 'groups') return GROUP_KEYS;
    return path[0] === 'vfs' ? VF_KEYS : NIC_KEYS;
  },
};
const uplinkRoot: Root = {
  label: 'the uplink',
  keysAt: (path, value) => (isVlan(path) ? VLAN_KEYS : uplinkKeys(typeOf(value))),
};
const vfRoot: Root = {
  label: 'the VF',
  keysAt: (path) => (isVlan(path) ? VLAN_KEYS : VF_KEYS),
};
const changesRoot: Root = {
  label: 'a change of a VF',
  keysAt: (path) => (isVlan(path) ? VLAN_KEYS : VF_CHANGE_KEYS),
};

const groupRoot: Root = { label: 'the group', keysAt: () => GROUP_KEYS };
const groupChangesRoot: Root = {
  label: 'a change of a group',
  keysAt: () => GROUP_CHANGE_KEYS,
};

function isVlan(path: KeyPath): boolean {
  return path.at(-1) === 'vlan';
}

const inCode: Locate = () => 'the configuration';

function typeOf(uplink: unknown): unknown {
  return typeof uplink === 'object' && uplink !== null && 'type' in uplink
    ? uplink.type
    : undefined;
}

type VfOutput = ReturnType<typeof vfSchema.parse>;

function withMac(vf: VfOutput, nicName: string): VfConfig {
  return { ...vf, mac: vf.mac ?? deriveMac(nicName, vf.name) };
}

/** The complete configuration of a NIC; throws an OperatorError that names the invalid key. */
export function completeNic(input: unknown, locate: Locate = inCode): NicConfig {
  const parsed = nicSchema.safeParse(input);
  if (!parsed.success) throwProblems(problemsOf(parsed.error, input, nicRoot, locate));
  const { control, vfs, ...rest } = parsed.data!;
  const config: NicConfig = { ...rest, vfs: vfs.map((vf) => withMac(vf, rest.name)) };
  if (control !== undefined) config.control = control;
  throwProblems([
    ...cpuConflicts(config, locate),
    ...conflictsOf(config, locate),
    ...sharingConflicts(config, locate),
  ]);
  return config;
}

/** The complete configuration of one uplink, by itself. */
export function completeUplink(input: unknown, locate: Locate = inCode): UplinkConfig {
  const parsed = uplinkSchema.safeParse(input);
  if (!parsed.success) throwProblems(problemsOf(parsed.error, input, uplinkRoot, locate));
  return parsed.data!;
}

/** All kinds share one space of names: counters, rates and the MAC table show several kinds. */
function isTaken(name: string, { vfs, groups, uplinks, rngs }: NicConfig): boolean {
  return [...vfs, ...groups, ...uplinks, ...rngs].some((one) => one.name === name);
}

/** Refuses a new uplink whose name or socket is taken. */
export function checkNewUplink(uplink: UplinkConfig, nic: NicConfig): void {
  if (isTaken(uplink.name, nic)) {
    throw operatorError('HEDDLE_UPLINK_EXISTS', { uplink: uplink.name });
  }
  const received = boundBy(uplink);
  const other = received === undefined ? undefined : socketsOf(nic).get(received);
  if (received === undefined || other === undefined) return;
  const parameters = { where: inCode([], 'value'), key: 'socket', other, received };
  throw operatorError('HEDDLE_CONFIG_DUPLICATE_SOCKET', parameters);
}

/** The path that the NIC binds for an uplink. Several uplinks may connect to the same path. */
function boundBy(uplink: UplinkConfig): string | undefined {
  if (uplink.type === 'dgram') return uplink.socket;
  return uplink.type === 'stream' && uplink.mode === 'server' ? uplink.socket : undefined;
}

/** The owner of each socket. */
function socketsOf({ vfs, uplinks, rngs }: NicConfig): Map<string, string> {
  const labelled = (list: string, functions: { name: string; path: string | undefined }[]) =>
    functions.flatMap(({ name, path }, index): [string, string][] =>
      path === undefined ? [] : [[path, `${list}[${index}] (${name})`]],
    );
  const named = ({ name, socket }: { name: string; socket: string }) => ({ name, path: socket });
  return new Map([
    ...labelled('vfs', vfs.map(named)),
    ...labelled(
      'uplinks',
      uplinks.map((uplink) => ({ name: uplink.name, path: boundBy(uplink) })),
    ),
    ...labelled('rngs', rngs.map(named)),
  ]);
}

/** The complete configuration of one VF, by itself; `checkRoomFor` compares it with the others. */
export function completeVf(input: unknown, nicName: string, locate: Locate = inCode): VfConfig {
  const parsed = vfSchema.safeParse(input);
  if (!parsed.success) throwProblems(problemsOf(parsed.error, input, vfRoot, locate));
  return withMac(parsed.data!, nicName);
}

/** The changes of a VF, each validated, without the keys that are undefined. */
export function completeChanges(input: unknown, locate: Locate = inCode): VfChanges {
  const parsed = vfChangesSchema.safeParse(input);
  if (!parsed.success) throwProblems(problemsOf(parsed.error, input, changesRoot, locate));
  return defined(parsed.data!) as VfChanges;
}

function defined(changes: object): object {
  const entries = Object.entries(changes).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries);
}

/** The complete configuration of one group, by itself; `checkGroup` compares it with the others. */
export function completeGroup(input: unknown, locate: Locate = inCode): GroupConfig {
  const parsed = groupSchema.safeParse(input);
  if (!parsed.success) throwProblems(problemsOf(parsed.error, input, groupRoot, locate));
  return parsed.data!;
}

/** The changes of a group, each validated, without the keys that are undefined. */
export function completeGroupChanges(input: unknown, locate: Locate = inCode): GroupChanges {
  const parsed = groupChangesSchema.safeParse(input);
  if (!parsed.success) throwProblems(problemsOf(parsed.error, input, groupChangesRoot, locate));
  return defined(parsed.data!) as GroupChanges;
}

/** Refuses a new group whose name is taken, or that conflicts. */
export function checkNewGroup(group: GroupConfig, nic: NicConfig): void {
  if (isTaken(group.name, nic)) {
    throw operatorError('HEDDLE_GROUP_EXISTS', { group: group.name });
  }
  if (nic.groups.length >= GROUP_COUNT_MAX) {
    const parameters = { limit: GROUP_COUNT_MAX, received: group.name };
    throw operatorError('HEDDLE_TOO_MANY_GROUPS', parameters);
  }
  checkGroup(group, nic);
}

/** Refuses the changed form of a group if what the NIC promises could not be kept. */
export function checkGroup(group: GroupConfig, nic: NicConfig): void {
  const groups = [...nic.groups.filter(({ name }) => name !== group.name), group];
  const change = { name: group.name, shown: (path: KeyPath) => path.slice(2) };
  throwProblems(sharingConflicts({ ...nic, groups }, inCode, change));
}

/** Refuses the changed form of a VF if it conflicts with the others. */
export function checkRoomFor(vf: VfConfig, nic: NicConfig, locate: Locate = inCode): void {
  const others = nic.vfs.filter((other) => other.name !== vf.name);
  if (others.length >= PORT_COUNT_MAX) {
    throw operatorError('HEDDLE_TOO_MANY_VFS', { limit: PORT_COUNT_MAX, received: vf.name });
  }
  const at: Locate = (path, part) => locate(path.slice(2), part);
  const taken = socketsOf({ ...nic, vfs: [] });
  const alone = { ...nic, vfs: [...others, vf], uplinks: [], rngs: [], groups: [] };
  const shown = (path: KeyPath): KeyPath => path.slice(2);
  throwProblems([
    ...conflictsOf(alone, at, shown, taken),
    ...sharingConflicts({ ...nic, vfs: [...others, vf] }, at, { name: vf.name, shown }),
  ]);
}

/** Refuses a new VF if it conflicts; its name must be free too. */
export function checkNewVf(vf: VfConfig, nic: NicConfig, locate: Locate = inCode): void {
  if (isTaken(vf.name, nic)) {
    throw operatorError('HEDDLE_VF_EXISTS', { vf: vf.name });
  }
  checkRoomFor(vf, nic, locate);
}

function cpuConflicts({ processors, processorCpus }: NicConfig, locate: Locate): OperatorError[] {
  if (processorCpus.length === 0 || processorCpus.length === processors) return [];
  const path = ['processorCpus'];
  const allowed = `a list of ${processors} CPUs, one per processor ("processors")`;
  const parameters = { key: keyText(path, 'the NIC'), allowed, received: processorCpus.join(', ') };
  return [operatorError('HEDDLE_CONFIG_VALUE', { where: locate(path, 'value'), ...parameters })];
}

/** Duplicates, each reported where it appears the second time. */
function conflictsOf(
  config: NicConfig,
  locate: Locate,
  shown: (path: KeyPath) => KeyPath = (path) => path,
  sockets = new Map<string, string>(),
): OperatorError[] {
  const problems: OperatorError[] = [];
  const names = new Map<string, string>();
  const macs = new Map<string, string>();
  if (config.control !== undefined) sockets.set(config.control, 'the control socket');
  config.vfs.forEach((vf, index) => {
    const label = `vfs[${index}] (${vf.name})`;
    const kinds = [
      { code: 'HEDDLE_CONFIG_DUPLICATE_NAME', field: 'name', seen: names },
      { code: 'HEDDLE_CONFIG_DUPLICATE_MAC', field: 'mac', seen: macs },
      { code: 'HEDDLE_CONFIG_DUPLICATE_SOCKET', field: 'socket', seen: sockets },
    ] as const;
    // Two VFs with one name share their derived MAC too; reporting that would only distract.
    const isNameTaken = names.has(vf.name);
    for (const { code, field, seen } of kinds) {
      const other = seen.get(vf[field]);
      if (other === undefined) seen.set(vf[field], label);
      else if (field !== 'mac' || !isNameTaken) {
        const path = ['vfs', index, field];
        const key = keyText(shown(path), 'the VF');
        const received = vf[field];
        problems.push(operatorError(code, { where: locate(path, 'value'), key, other, received }));
      }
    }
  });
  return [...problems, ...otherConflicts(config, { names, sockets }, locate)];
}

/**
 * Groups, uplinks and entropy devices share names with VFs, and some of them sockets.
 */
function otherConflicts(
  { groups, uplinks, rngs }: NicConfig,
  { names, sockets }: { names: Map<string, string>; sockets: Map<string, string> },
  locate: Locate,
): OperatorError[] {
  const all = [
    ...uplinks.map((uplink, index) => {
      const { name } = uplink;
      return { list: 'uplinks', kind: 'the uplink', index, name, socket: boundBy(uplink) };
    }),
    ...groups.map(({ name }, index) => {
      return { list: 'groups', kind: 'the group', index, name, socket: undefined };
    }),
    ...rngs.map(({ name, socket }, index) => {
      return { list: 'rngs', kind: 'the entropy device', index, name, socket };
    }),
  ];
  const kinds = [
    { code: 'HEDDLE_CONFIG_DUPLICATE_NAME', field: 'name', seen: names },
    { code: 'HEDDLE_CONFIG_DUPLICATE_SOCKET', field: 'socket', seen: sockets },
  ] as const;
  return all.flatMap(({ list, kind, index, ...fields }) =>
    kinds.flatMap(({ code, field, seen }) => {
      const received = fields[field];
      if (received === undefined) return [];
      const other = seen.get(received);
      seen.set(received, `${list}[${index}] (${fields.name})`);
      if (other === undefined) return [];
      const path = [list, index, field];
      const where = locate(path, 'value');
      return [operatorError(code, { where, key: keyText(path, kind), other, received })];
    }),
  );
}
