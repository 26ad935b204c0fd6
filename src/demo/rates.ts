import type { VfStats } from '../functions/net/types.ts';
import type { NicStats } from '../nic/types.ts';
import type { RxStats, TxStats } from '../state/stats.ts';

/** One line of the live table: the present rates of a VF, from its guest's point of view. */
export interface VfRate {
  readonly name: string;
  readonly sentMbps: number;
  readonly receivedMbps: number;
  readonly packetsPerSecond: number;
  /** Since the start, not per second: a drop that has scrolled away still matters. */
  readonly drops: number;
}

/** Rates between two readings of the counters. */
export function ratesBetween(before: NicStats, after: NicStats): VfRate[] {
  const seconds = Math.max(after.uptimeSeconds - before.uptimeSeconds, 0.001);
  return after.vfs.map((now) => {
    const then = before.vfs.find((vf) => vf.name === now.name);
    const difference = (count: (vf: VfStats) => number): number =>
      (count(now) - (then === undefined ? 0 : count(then))) / seconds;
    return {
      name: now.name,
      sentMbps: (difference((vf) => vf.tx.bytes) * 8) / 1e6,
      receivedMbps: (difference((vf) => vf.rx.bytes) * 8) / 1e6,
      packetsPerSecond: difference((vf) => vf.tx.packets + vf.rx.packets),
      drops: dropCount(now.tx) + dropCount(now.rx),
    };
  });
}

export function dropCount(counters: TxStats | RxStats): number {
  return Object.values(counters.drops).reduce((sum, count) => sum + count, 0);
}
