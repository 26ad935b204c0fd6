// `heddle stats NAME`: all counters of one VF or uplink.

import { operatorError } from '../errors.ts';
import type { VfStats } from '../functions/net/types.ts';
import { PORT_COUNTERS } from '../nic/counter-groups.ts';
import type { NicStats } from '../nic/types.ts';
import type { UplinkStats } from '../uplinks/types.ts';
import { table } from './output.ts';

export type PortStats = VfStats | UplinkStats;

/** VFs, then uplinks, whose "tx" comes from the network. */
export function portsOf(stats: NicStats): PortStats[] {
  return [...stats.vfs, ...stats.uplinks];
}

export function portOf(stats: NicStats, name: string): PortStats {
  const port = portsOf(stats).find((one) => one.name === name);
  if (port === undefined) throw operatorError('HEDDLE_PORT_NOT_FOUND', { port: name });
  return port;
}

/** By the NIC's own clock: the command may have slept longer than intended. */
export function secondsBetween(before: NicStats, now: NicStats): number {
  return Math.max(now.uptimeSeconds - before.uptimeSeconds, 0.001);
}

/** A port that was replaced starts at zero again. */
export function perSecond(seconds: number, value: number, was = 0): number {
  return Math.round(Math.max(value - was, 0) / seconds);
}

export function portText(port: PortStats): string {
  const rows = countersOf(port).map(({ of, name, count, help }) => [of, name, count, help]);
  return table(['of', 'counter', 'count', 'what it counts'], rows);
}

export function portRatesText(before: NicStats, now: NicStats, name: string): string {
  const seconds = secondsBetween(before, now);
  const was = portsOf(before).find((port) => port.name === name);
  const rows = countersOf(portOf(now, name)).map(({ path, of, name: counter, count, help }) => {
    const rate = perSecond(seconds, count, was && numberAt(was, [...path, counter]));
    return [of, counter, count, rate, help];
  });
  return table(['of', 'counter', 'count', 'per second', 'what it counts'], rows);
}

/** The port's counters; drop reasons that never occurred are omitted. */
function countersOf(port: PortStats) {
  return PORT_COUNTERS.flatMap(({ path, counters }) =>
    Object.entries(counters).flatMap(([name, { help }]) => {
      const count = numberAt(port, [...path, name]);
      return count === undefined ? [] : [{ path, of: path.join('.'), name, count, help }];
    }),
  );
}

function numberAt(port: PortStats, path: readonly string[]): number | undefined {
  let at: unknown = port;
  for (const name of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[name];
  }
  return typeof at === 'number' ? at : undefined;
}
