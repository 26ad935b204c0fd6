import type { NicStats } from '../../src/nic/types.ts';
import { countersOf, type Direction } from '../../src/state/counter-table.ts';
import { DROP_REASONS, type Drops } from '../../src/state/drop-reasons.ts';
import { waitUntil } from './wait-until.ts';

/** Prefix of problems of the NIC as a whole. */
const WHOLE = 'NIC:';

function sum(drops: Record<string, number>): number {
  return Object.values(drops).reduce((total, count) => total + count, 0);
}

/** Counters that do not balance, in words; empty if every frame is accounted for. */
export function imbalances(stats: NicStats): string[] {
  const problems: string[] = [];
  let forwarded = 0;
  let offered = 0;
  for (const { name, tx, rx } of [...stats.vfs, ...stats.uplinks]) {
    const settled = tx.forwarded + sum(tx.drops);
    if (tx.packets !== settled) {
      problems.push(`${name}: tx.packets ${tx.packets} ≠ forwarded + drops ${settled}`);
    }
    const taken = rx.packets + rx.groMerged + sum(rx.drops);
    if (rx.offered !== taken) {
      problems.push(`${name}: rx.offered ${rx.offered} ≠ packets + groMerged + drops ${taken}`);
    }
    problems.push(...foreignDrops(name, 'tx', tx.drops), ...foreignDrops(name, 'rx', rx.drops));
    forwarded += tx.forwarded + tx.replicas + rx.segments;
    offered += rx.offered;
  }
  if (forwarded !== offered) {
    problems.push(`${WHOLE} forwarded + replicas + segments ${forwarded} ≠ offered ${offered}`);
  }
  return problems;
}

/** Drops whose reason does not belong to this direction. */
function foreignDrops(port: string, direction: Direction, drops: Drops): string[] {
  const known = countersOf(DROP_REASONS, direction).map(([name]) => name);
  const foreign = Object.keys(drops).filter((name) => !known.includes(name));
  return foreign.map((name) => `${port}: ${name} is no drop reason of ${direction}`);
}

/**
 * Asserts received = delivered + dropped, for every VF and for the NIC as a whole, while nothing
 * moves. For a NIC that runs in this thread.
 */
export function assertBalanced(stats: NicStats): void {
  const problems = imbalances(stats);
  if (problems.length > 0) throw new Error(`counters out of balance: ${problems.join('; ')}`);
}

/**
 * The same for a NIC whose processors run in their own threads. Its counters are read one after
 * the other, so a frame that passes in the meantime (the kernel's last ACK, a guest's address
 * resolution) makes them differ. A frame that was lost or counted twice makes them differ for
 * ever.
 */
export function untilBalanced(nic: HasStats): Promise<void> {
  return untilNone(() => imbalances(nic.stats()));
}

/**
 * The same after a port has been removed. Its counters went with it, so the counters of each
 * remaining port agree, but not their sums.
 */
export function untilPortsBalanced(nic: HasStats): Promise<void> {
  return untilNone(() => imbalances(nic.stats()).filter((problem) => !problem.startsWith(WHOLE)));
}

function untilNone(problems: () => string[]): Promise<void> {
  return waitUntil(() => problems().length === 0, problems);
}

interface HasStats {
  stats(): NicStats;
}
