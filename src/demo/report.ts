// The demo's results: as JSON for programs, as a few lines for people.

import type { NicStats } from '../nic/types.ts';
import type { RxStats, TxStats } from '../state/stats.ts';
import type { GuestPair } from './guest-pair.ts';
import { dropCount } from './rates.ts';
import type { WorldReport } from './world.ts';

interface VfReport {
  readonly name: string;
  readonly mac: string;
  readonly tx: TxStats;
  readonly rx: RxStats;
}

export interface DemoReport {
  readonly guests: GuestPair['kind'];
  readonly tcp: { readonly forwardMbps: number; readonly reverseMbps: number };
  readonly rttMs: { readonly min: number; readonly median: number };
  readonly vfs: readonly VfReport[];
  /** What the guest fetched through the uplink, if there was one. */
  readonly world?: WorldReport;
  /** Sum over all VFs. */
  readonly drops: Readonly<Record<string, number>>;
}

export interface Measurements {
  readonly guests: GuestPair['kind'];
  readonly roundTripsMs: readonly number[];
  readonly forwardMbps: number;
  readonly reverseMbps: number;
  readonly world?: WorldReport | undefined;
}

export function makeReport(measured: Measurements, stats: NicStats): DemoReport {
  const { roundTripsMs } = measured;
  return {
    guests: measured.guests,
    tcp: { forwardMbps: round(measured.forwardMbps), reverseMbps: round(measured.reverseMbps) },
    rttMs: { min: roundMs(Math.min(...roundTripsMs)), median: roundMs(median(roundTripsMs)) },
    vfs: stats.vfs.map(({ name, mac, tx, rx }) => ({ name, mac, tx, rx })),
    ...(measured.world === undefined ? {} : { world: measured.world }),
    drops: sumDrops(stats),
  };
}

/** Checks the VFs' counters too: other traffic did not pass through the NIC. */
export function hasTrafficBothWays(report: DemoReport): boolean {
  const { forwardMbps, reverseMbps } = report.tcp;
  return forwardMbps > 0 && reverseMbps > 0 && report.vfs.every((vf) => vf.rx.packets > 0);
}

export function summaryLines(report: DemoReport): string[] {
  const [first, second] = report.vfs.map((vf) => vf.name);
  const guests = report.guests === 'qemu' ? 'Linux machines under QEMU' : 'built-in guests';
  const { forwardMbps, reverseMbps } = report.tcp;
  const traffic = trafficName(report.guests).padEnd(6);
  return [
    `Two ${guests}, one NIC:`,
    `  round trip       min ${report.rttMs.min} ms, median ${report.rttMs.median} ms`,
    `  ${traffic} ${first} → ${second} ${forwardMbps} Mbit/s`,
    `  ${traffic} ${second} → ${first} ${reverseMbps} Mbit/s`,
    ...(report.world === undefined ? [] : [worldLine(report.world)]),
    ...report.vfs.map(vfLine),
    `  drops            ${dropText(report.drops)}`,
  ];
}

function worldLine({ uplink, address }: WorldReport): string {
  return `  ${'uplink'.padEnd(16)} ${uplink}: ${address} fetched a page from the host`;
}

function vfLine({ name, tx, rx }: VfReport): string {
  const isBalanced =
    tx.packets === tx.forwarded + dropCount(tx) &&
    rx.offered === rx.packets + rx.groMerged + dropCount(rx);
  const verdict = isBalanced ? 'every frame accounted for' : 'FRAMES UNACCOUNTED FOR';
  return `  ${name.padEnd(16)} sent ${tx.packets} frames, received ${rx.packets}; ${verdict}`;
}

function dropText(drops: Readonly<Record<string, number>>): string {
  const parts = Object.entries(drops).map(([reason, count]) => `${reason} ${count}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function sumDrops(stats: NicStats): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const { drops } of stats.vfs.flatMap((vf) => [vf.tx, vf.rx])) {
    for (const [reason, count] of Object.entries(drops)) {
      if (count > 0) sum[reason] = (sum[reason] ?? 0) + count;
    }
  }
  return sum;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** A ping is not more precise than microseconds. */
export function roundMs(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

/** Built-in guests have no TCP: they send full-size frames as fast as they can. */
export function trafficName(guests: 'qemu' | 'built-in'): string {
  return guests === 'qemu' ? 'TCP' : 'frames';
}
