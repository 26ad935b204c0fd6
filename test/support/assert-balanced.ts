import type { NicStats } from '../../src/nic/types.ts';

function sum(drops: Record<string, number>): number {
  return Object.values(drops).reduce((total, count) => total + count, 0);
}

/** What does not add up, in words; empty if every frame is accounted for. */
export function imbalances(stats: NicStats): string[] {
  const problems: string[] = [];
  let forwarded = 0;
  let offered = 0;
  for (const { name, tx, rx } of [...stats.vfs, ...stats.uplinks]) {
    const settled = tx.forwarded + sum(tx.drops);
    if (tx.packets !== settled) {
      problems.push(`${name}: tx.packets ${tx.packets} ≠ forwarded + drops ${settled}`);
    }
    const taken = rx.packets + rx.coalesced + sum(rx.drops);
    if (rx.offered !== taken) {
      problems.push(`${name}: rx.offered ${rx.offered} ≠ packets + coalesced + drops ${taken}`);
    }
    forwarded += tx.forwarded + tx.replicas + rx.segments;
    offered += rx.offered;
  }
  if (forwarded !== offered) {
    problems.push(`NIC: forwarded + replicas + segments ${forwarded} ≠ offered ${offered}`);
  }
  return problems;
}

/** Received = delivered + dropped, for every VF and for the NIC as a whole. */
export function assertBalanced(stats: NicStats): void {
  const problems = imbalances(stats);
  if (problems.length > 0) throw new Error(`counters out of balance: ${problems.join('; ')}`);
}
