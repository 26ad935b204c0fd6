import { packetRateText, rateText } from '../config/rates.ts';
import type { NicConfig } from '../config/types.ts';
import type { NicStats } from '../nic/types.ts';
import type { AccountStats } from '../state/accounts.ts';
import { table } from './output.ts';
import { perSecond, secondsBetween } from './port-stats.ts';

/** What a node of the schedule is promised. 0: none. Missing: a node of its kind has no such. */
interface Promised {
  parent?: string;
  txShare?: number;
  txMax?: number;
  txWeight?: number;
  txPriority?: number;
  txBurst?: number;
  txMaxPackets?: number;
  rxMax?: number;
  rxMaxPackets?: number;
}

/** What a node is promised, and what it sent between two readings. */
interface NodeRates extends Promised {
  name: string;
  kind: 'nic' | 'group' | 'vf' | 'uplink';
  bitsPerSecond: number;
  packetsPerSecond: number;
  /** Part of one processor's time. */
  workPercent: number;
  /** Part of the time for which its maximum held it back. */
  heldPercent: number;
  /** Sent for its guarantee. */
  guaranteedBitsPerSecond: number;
}

/** The NIC, groups, VFs, uplinks. What one of the readings lacks has just come or gone. */
export function ratesBetween(before: NicStats, now: NicStats, config: NicConfig): NodeRates[] {
  const seconds = secondsBetween(before, now);
  const rates = (account: AccountStats, was: AccountStats | undefined) =>
    ratesOf(seconds, account, was);
  const nodes = <Kind extends 'groups' | 'vfs' | 'uplinks'>(
    list: Kind,
    kind: NodeRates['kind'],
    promised: (one: NicConfig[Kind][number]) => Promised,
  ): NodeRates[] => {
    const configs: NicConfig[Kind][number][] = config[list];
    return configs.flatMap((one) => {
      const account = accountIn(now, list, one.name);
      if (account === undefined) return [];
      const its = rates(account, accountIn(before, list, one.name));
      return [{ name: one.name, kind, ...promised(one), ...its }];
    });
  };
  return [
    { name: now.name, kind: 'nic', txMax: config.capacity, ...rates(now.account, before.account) },
    ...nodes('groups', 'group', ({ name: _, ...words }) => words),
    ...nodes('vfs', 'vf', promisedTo),
    ...nodes('uplinks', 'uplink', ({ capacity }) => {
      return capacity === 'auto' ? {} : { rxMax: capacity };
    }),
  ];
}

function promisedTo(vf: NicConfig['vfs'][number]): Promised {
  const { group: parent, txShare, txMax, txWeight, txPriority, txBurst } = vf;
  const { txMaxPackets, rxMax, rxMaxPackets } = vf;
  const sending = { parent, txShare, txMax, txWeight, txPriority, txBurst, txMaxPackets };
  return { ...sending, rxMax, rxMaxPackets };
}

function accountIn(
  stats: NicStats,
  list: 'groups' | 'vfs' | 'uplinks',
  name: string,
): AccountStats | undefined {
  return stats[list].find((one) => one.name === name)?.account;
}

function ratesOf(seconds: number, now: AccountStats, was: AccountStats | undefined) {
  const rate = (of: keyof AccountStats): number => perSecond(seconds, now[of], was?.[of]);
  // 1e9 ns of a second are 100 %; one digit is what a reading of a second tells.
  const percent = (of: keyof AccountStats): number => Math.round(rate(of) / 1e6) / 10;
  return {
    bitsPerSecond: rate('bytes') * 8,
    packetsPerSecond: rate('packets'),
    workPercent: percent('workNanoseconds'),
    heldPercent: percent('heldNanoseconds'),
    guaranteedBitsPerSecond: rate('guaranteedBytes') * 8,
  };
}

export function ratesText(nodes: readonly NodeRates[]): string {
  const header = ['name', 'kind', 'in', 'share', 'max', 'weight', 'priority', 'rx max'];
  const rows = nodes.map((node) => [
    ...[node.name, node.kind, node.parent ?? '-', shown(node.txShare)],
    limitsText(node.txMax, node.txMaxPackets),
    ...[`${node.txWeight ?? '-'}`, `${node.txPriority ?? '-'}`],
    limitsText(node.rxMax, node.rxMaxPackets),
    ...[(node.bitsPerSecond / 1e6).toFixed(2), node.packetsPerSecond],
    ...[`${node.workPercent.toFixed(1)} %`, `${node.heldPercent.toFixed(1)} %`],
  ]);
  return table([...header, 'Mbit/s', 'packets/s', 'time', 'held'], rows);
}

function shown(bitsPerSecond: number | undefined): string {
  return bitsPerSecond === undefined ? '-' : rateText(bitsPerSecond);
}

/** "5Gbit", "1M packets/s", or both. */
function limitsText(bitsPerSecond: number | undefined, packetsPerSecond = 0): string {
  if (packetsPerSecond === 0) return shown(bitsPerSecond);
  const packets = `${packetRateText(packetsPerSecond)} packets/s`;
  return bitsPerSecond ? `${rateText(bitsPerSecond)}, ${packets}` : packets;
}
