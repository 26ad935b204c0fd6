// `heddle stats`: the counters, once, or every second with rates.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { NicStats } from '../nic/types.ts';
import {
  addControlOption,
  addJsonOption,
  type ControlOptions,
  clientOf,
  example,
} from './options.ts';
import { print, printJson, printJsonLine, table } from './output.ts';
import {
  type PortStats,
  perSecond,
  portOf,
  portRatesText,
  portsOf,
  portText,
  secondsBetween,
} from './port-stats.ts';

const INTERVAL_MILLISECONDS = 1000;

interface StatsOptions extends ControlOptions {
  watch?: true;
  json?: true;
}

export function addStats(program: Command): void {
  const command = program
    .command('stats')
    .summary('show the counters')
    .argument('[name]', 'one VF or uplink: all its counters with their meanings')
    .description('Show packets, bytes and drops of every VF. "tx" is from the guest, "rx" to it.')
    .option('--watch', 'repeat every second, with rates')
    .addHelpText('after', example('heddle stats', 'heddle stats vm1', 'heddle stats --watch'));
  addControlOption(addJsonOption(command)).action(stats);
}

async function stats(name: string | undefined, options: StatsOptions): Promise<void> {
  const client = clientOf(options);
  const part = (now: NicStats) => (name === undefined ? now : portOf(now, name));
  let before = await client.stats();
  if (!options.watch) {
    if (options.json) return printJson(part(before));
    return print(name === undefined ? totalsText(before) : portText(portOf(before, name)));
  }
  const rates = (now: NicStats): string =>
    name === undefined ? ratesText(before, now) : portRatesText(before, now, name);
  // Ended by a signal, by an error when the NIC stops, or by a reader that closes the pipe.
  while (true) {
    await sleep(INTERVAL_MILLISECONDS);
    const now = await client.stats();
    if (options.json) printJsonLine(part(now));
    else print((process.stdout.isTTY ? '\x1b[H\x1b[2J' : '') + rates(now));
    before = now;
  }
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

/** The rings that were stopped, with reasons. */
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
  const seconds = secondsBetween(before, now);
  const old = new Map(portsOf(before).map((vf) => [vf.name, vf]));
  const rate = (value: number, was?: number): number => perSecond(seconds, value, was);
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
