// Whether what the VFs and groups of a NIC are promised can be kept: the tree of groups, and the
// sums of the guarantees.

import { GROUP_DEPTH_MAX } from '../../layout/limits.ts';
import { type OperatorError, operatorError } from '../errors.ts';
import type { VfConfig } from '../functions/net/config.ts';
import { guaranteesMax, type SendingWords } from '../state/promises.ts';
import { type KeyPath, keyText, type Locate } from './problems.ts';
import { rateText } from './rates.ts';
import { NO_GROUP } from './sharing-schema.ts';
import type { GroupConfig, NicConfig } from './types.ts';

/** A VF or a group, with its place in the configuration. */
interface Member extends SendingWords {
  path: KeyPath;
  name: string;
  kind: 'the VF' | 'the group';
  /** The key that names the group it is in. */
  parentKey: 'group' | 'parent';
  parent: string;
}

type Sharing = Pick<NicConfig, 'vfs' | 'groups' | 'capacity' | 'processors'>;

function membersOf({ vfs, groups }: Pick<NicConfig, 'vfs' | 'groups'>): Member[] {
  return [
    ...groups.map((group, i): Member => {
      return { ...group, path: ['groups', i], kind: 'the group', parentKey: 'parent' };
    }),
    ...vfs.map((vf, i): Member => {
      const place = { path: ['vfs', i], parentKey: 'group', parent: vf.group } as const;
      return { ...vf, ...place, kind: 'the VF' };
    }),
  ];
}

/**
 * The guarantee of each group by its name, that of the NIC as NO_GROUP: the sum of those in it, or
 * its own if that is more. Groups that are not below the NIC count as if they were directly there.
 */
export function groupShares({ vfs, groups }: Pick<NicConfig, 'vfs' | 'groups'>) {
  const shares = new Map<string, number>([[NO_GROUP, 0]]);
  const known = new Map(groups.map((group) => [group.name, group]));
  const add = (name: string, share: number): void => {
    shares.set(name, (shares.get(name) ?? 0) + share);
  };
  for (const vf of vfs) add(known.has(vf.group) ? vf.group : NO_GROUP, vf.txShare);
  const byDepth = groups.map((group) => ({ group, above: groupsAbove(group, known) }));
  byDepth.sort((a, b) => (b.above?.length ?? 0) - (a.above?.length ?? 0));
  for (const { group, above } of byDepth) {
    const share = Math.max(group.txShare, shares.get(group.name) ?? 0);
    shares.set(group.name, share);
    add(above?.[0]?.name ?? NO_GROUP, share);
  }
  return shares;
}

/** The groups and VFs that are directly in a group. */
export function namesIn(
  group: string,
  { vfs, groups }: { vfs: readonly VfConfig[]; groups: readonly GroupConfig[] },
): string[] {
  const inside = [
    ...groups.filter(({ parent }) => parent === group),
    ...vfs.filter((vf) => vf.group === group),
  ];
  return inside.map(({ name }) => name);
}

/** From the nearest to the topmost; null in a circle or below too many levels. */
export function groupsAbove(
  group: GroupConfig,
  known: ReadonlyMap<string, GroupConfig>,
): GroupConfig[] | null {
  const above: GroupConfig[] = [];
  for (let at = known.get(group.parent); at !== undefined; at = known.get(at.parent)) {
    above.push(at);
    if (above.length >= GROUP_DEPTH_MAX) return null;
  }
  return above;
}

interface Change {
  /** The VF or group that is new or has changed. */
  name: string;
  /** How messages show the path of a key. */
  shown(path: KeyPath): KeyPath;
}

/** Why the promises of a configuration cannot be kept. `change`: the only thing that is new. */
export function sharingConflicts(
  nic: Sharing,
  locate: Locate,
  { name: changed, shown }: Change = { name: '', shown: (path) => path },
): OperatorError[] {
  const members = membersOf(nic);
  const at = ({ path, kind }: Member, key: string) => {
    const place = [...path, key];
    return { where: locate(place, 'value'), key: keyText(shown(place), kind) };
  };
  const aboveMax = members.flatMap((member) => {
    const { txShare, txMax } = member;
    if (txMax === 0 || txShare <= txMax) return [];
    const allowed = `at most its txMax (${rateText(txMax)})`;
    const received = rateText(txShare);
    return [operatorError('HEDDLE_CONFIG_VALUE', { ...at(member, 'txShare'), allowed, received })];
  });
  const misplaced = treeConflicts(nic, members, at);
  if (misplaced.length > 0) return [...aboveMax, ...misplaced];
  return [...aboveMax, ...sumConflicts(nic, blamedLast(members, changed), locate)];
}

/** Groups that are missing, below themselves, or below too many others. */
function treeConflicts(
  { groups }: Sharing,
  members: readonly Member[],
  at: (member: Member, key: string) => { where: string; key: string },
): OperatorError[] {
  const known = new Map(groups.map((group) => [group.name, group]));
  return members.flatMap((member) => {
    const { parent, parentKey } = member;
    if (parent === NO_GROUP) return [];
    const place = at(member, parentKey);
    if (!known.has(parent)) {
      const suggestion =
        groups.length === 0
          ? 'There are no groups: add it under "groups", or with "heddle group add".'
          : `The groups are ${groups.map(({ name }) => name).join(', ')}.`;
      return [operatorError('HEDDLE_GROUP_UNKNOWN', { ...place, received: parent, suggestion })];
    }
    if (member.kind === 'the VF') return [];
    const names = namesAbove(member.name, known);
    const received = names.join(' in ');
    if (names.length > 1 && names.at(-1) === member.name) {
      return [operatorError('HEDDLE_GROUP_CYCLE', { ...place, received })];
    }
    if (names.length <= GROUP_DEPTH_MAX) return [];
    return [operatorError('HEDDLE_GROUP_DEPTH', { ...place, limit: GROUP_DEPTH_MAX, received })];
  });
}

/** A group and those above it; ends at the first that repeats. */
function namesAbove(name: string, known: ReadonlyMap<string, GroupConfig>): string[] {
  const names = [name];
  for (let at = known.get(name)?.parent; at !== undefined && known.has(at); ) {
    const isRepeated = names.includes(at);
    names.push(at);
    if (isRepeated) break;
    at = known.get(at)?.parent;
  }
  return names;
}

/** Whoever has just changed, and the groups it is in, are blamed if the sum of all is too much. */
function blamedLast(members: readonly Member[], changed: string): Member[] {
  const blamed = new Set<string>();
  const known = new Map(members.map((member) => [member.name, member]));
  for (let at = known.get(changed); at !== undefined; at = known.get(at.parent)) {
    blamed.add(at.name);
  }
  const isBlamed = ({ name }: Member): boolean => blamed.has(name);
  return [...members.filter((one) => !isBlamed(one)), ...members.filter(isBlamed)];
}

/** What the guarantees of some members must not exceed. */
interface Bound {
  /** "group gold", "the NIC". */
  owner: string;
  /** "txMax", "capacity". */
  limit: string;
  bitsPerSecond: number;
  remedy: string;
}

function sumConflicts(nic: Sharing, members: readonly Member[], locate: Locate): OperatorError[] {
  const shares = groupShares(nic);
  const check = (name: string, bounds: readonly Bound[]): OperatorError[] => {
    const children = members.filter(({ parent }) => parent === name);
    const held = children.map((member) => {
      const { txShare } = member;
      const share = member.kind === 'the VF' ? txShare : (shares.get(member.name) ?? txShare);
      return { member, share };
    });
    return bounds.flatMap((bound) => overbooked(held, bound, locate));
  };
  return [
    ...nic.groups.flatMap((group) => check(group.name, boundsOf(group))),
    ...check(NO_GROUP, boundsOfNic(nic)),
  ];
}

function boundsOf({ name, txShare, txMax }: GroupConfig): Bound[] {
  const owner = `group ${name}`;
  const limit = txShare > 0 ? 'txShare' : 'txMax';
  const bitsPerSecond = txShare || txMax;
  const remedy = `raise the ${limit} of ${name}`;
  return bitsPerSecond === 0 ? [] : [{ owner, limit, bitsPerSecond, remedy }];
}

function boundsOfNic({ capacity, processors }: Sharing): Bound[] {
  const time = {
    owner: 'the NIC',
    limit: processors === 1 ? 'processor can keep' : `${processors} processors can keep`,
    bitsPerSecond: guaranteesMax(processors),
    remedy: 'use more processors',
  };
  const remedy = 'raise the capacity of the NIC';
  const wire = { owner: 'the NIC', limit: 'capacity', bitsPerSecond: capacity, remedy };
  return capacity === 0 || capacity > time.bitsPerSecond ? [time] : [wire];
}

/** At most this many names in a message. */
const HOLDERS_SHOWN_MAX = 8;

/** Blames the first member that does not fit. */
function overbooked(
  held: readonly { member: Member; share: number }[],
  { owner, limit, bitsPerSecond, remedy }: Bound,
  locate: Locate,
): OperatorError[] {
  let left = bitsPerSecond;
  const blamed = held.find(({ share }) => {
    if (share > left) return true;
    left -= share;
    return false;
  });
  if (blamed === undefined) return [];
  const sum = held.reduce((total, { share }) => total + share, 0);
  const holders = held.filter((one) => one !== blamed && one.share > 0);
  const names = holders.map(({ member, share }) => `${member.name} ${rateText(share)}`);
  const more = names.splice(HOLDERS_SHOWN_MAX).length;
  if (more > 0) names.push(`${more} more`);
  return [
    operatorError('HEDDLE_SHARES_EXCEEDED', {
      where: locate([...blamed.member.path, 'txShare'], 'value'),
      owner,
      sum: rateText(sum),
      limit: `${limit} (${rateText(bitsPerSecond)})`,
      received: `${blamed.member.name} with ${rateText(blamed.share)}`,
      left: rateText(left),
      holders: names.join(', ') || 'nobody else has any',
      remedy,
    }),
  ];
}
