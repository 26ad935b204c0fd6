// `heddle stats`: the counters, once or every second with rates.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { VfStats } from '../functions/net/types.ts';
import type { NicStats } from '../nic/types.ts';
import type { UplinkStats } from '../uplinks/types.ts';
import {
  addControlOption,
  addJsonOption,
  type ControlOptions,
  clientOf,
  example,
} from './options.ts';
import { print, printJson, printJsonLine, table } from './output.ts';

const INTERVAL_MILLISECONDS = 1000;

interface StatsOptions extends ControlOptions {
  watch?: true;
  json?: true;
}

export function addStats(program: Command): void {
  const command = program
    .command('stats')
    .summary('show the counters')
    .description('Show packets, bytes and drops of every VF. "tx" is from the guest, "rx" to it.')
    .option('--watch', 'again every second, with rates')
    .addHelpText('after', example('heddle stats', 'heddle stats --watch', 'heddle stats --json'));
  addControlOption(addJsonOption(command)).action(stats);
}

async function stats(options: StatsOptions): Promise<void> {
  const client = clientOf(options);
  if (!options.watch) {
    const now = await client.stats();
    return options.json ? printJson(now) : print(totalsText(now));
  }
  let before = await client.stats();
  // Ends by a signal, by an error when the NIC stops, or when nobody reads any more.
  while (true) {
    await sleep(INTERVAL_MILLISECONDS);
    const now = await client.stats();
    if (options.json) printJsonLine(now);
    else print((process.stdout.isTTY ? '\x1b[H\x1b[2J' : '') + ratesText(before, now));
    before = now;
  }
}

type PortStats = VfStats | UplinkStats;

/** VFs, then uplinks: an uplink's "tx" is from the world. */
function portsOf(stats: NicStats): PortStats[] {
  return [...stats.vfs, ...stats.uplinks];
}

function sum(drops: Record<string, number>): number {
  return Object.values(drops).reduce((total, count) => total + count, 0);
}

function totalsText(now: NicStats): string {
  const header = ['vf', 'state', 'tx packets', 'tx bytes', 'tx drops'];
  const rows = portsOf(now).map(({ name, state, tx, rx }) => [
    ...[name, state, tx.packets, tx.bytes, sum(tx.drops)],
    ...[rx.packets, rx.bytes, sum(rx.drops)],
  ]);
  const text = table([...header, 'rx packets', 'rx bytes', 'rx drops'], rows);
  const drops = portsOf(now).flatMap(dropRows);
  const faults = portsOf(now).flatMap(faultRows);
  const tables = [
    ...(drops.length === 0 ? [] : [table(['vf', 'drops', 'reason', 'count'], drops)]),
    ...(faults.length === 0 ? [] : [table(['vf', 'queue', 'ring faults', 'count'], faults)]),
  ];
  return [text, ...tables].join('\n\n');
}

/** The rings that were stopped, and why. */
function faultRows(port: PortStats): [string, string, string, number][] {
  const control = 'control' in port && port.control !== undefined ? [port.control] : [];
  return [...port.queues, ...control].flatMap((one) =>
    Object.entries(one.faultReasons).map(([reason, count]): [string, string, string, number] => {
      return [port.name, 'queue' in one ? `${one.queue}` : 'control', reason, count];
    }),
  );
}

function dropRows(port: PortStats): [string, string, string, number][] {
  const { name, tx, rx } = port;
  const rows = (direction: string, drops: Record<string, number> = {}) =>
    Object.entries(drops)
      .filter(([, count]) => count > 0)
      .map(([reason, count]): [string, string, string, number] => [name, direction, reason, count]);
  const { unlearned } = port.addresses;
  const all = [...rows('tx', tx.drops), ...rows('rx', rx.drops), ...rows('fdb', { unlearned })];
  if ('control' in port) return [...all, ...rows('control', port.control?.drops)];
  if (!('wire' in port)) return all;
  return [...all, ...rows('wire', port.wire.drops), ...rows('kernel', port.kernel?.drops)];
}

function ratesText(before: NicStats, now: NicStats): string {
  // The NIC's own clock: the command may have slept longer than it meant to.
  const seconds = Math.max(now.uptimeSeconds - before.uptimeSeconds, 0.001);
  const old = new Map(portsOf(before).map((vf) => [vf.name, vf]));
  // A VF that was replaced starts again at zero.
  const rate = (value: number, was = 0): number => Math.round(Math.max(value - was, 0) / seconds);
  const megabits = (value: number, was = 0): string => ((rate(value, was) * 8) / 1e6).toFixed(2);
  const rows = portsOf(now).map(({ name, state, tx, rx }) => {
    const was = old.get(name);
    return [
      ...[name, state, rate(tx.packets, was?.tx.packets)],
      ...[megabits(tx.bytes, was?.tx.bytes), sum(tx.drops)],
      ...[rate(rx.packets, was?.rx.packets)],
      ...[megabits(rx.bytes, was?.rx.bytes), sum(rx.drops)],
    ];
  });
  const header = ['vf', 'state', 'tx packets/s', 'tx Mbit/s', 'tx drops'];
  return table([...header, 'rx packets/s', 'rx Mbit/s', 'rx drops'], rows);
}
