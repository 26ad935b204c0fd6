// The suite `sharing` as one table: a switch that is exact but idle, or busy but unfair, shows it
// in the same row.

import type { Sample } from '../sample.ts';
import { metrics } from '../suites/sharing-record.ts';
import { type Summary, summarize } from '../summary.ts';
import { number } from './number.ts';
import { table } from './table.ts';

const columns = [metrics.rateError, metrics.jain, metrics.p99, metrics.utilisation] as const;

/** The ratio of two errors, or of two indexes, says nothing. */
export function isComparable({ metric }: Sample): boolean {
  return metric === metrics.p99 || metric === metrics.p999 || metric === metrics.rate;
}

export function renderSharing(samples: readonly Sample[]): string {
  const summaries = summarize(samples);
  const keys = [...new Set(summaries.map(({ workload }) => workload))];
  const rows = keys.flatMap((workload) => {
    const own = summaries.filter((summary) => summary.workload === workload);
    const peers = [...new Set(own.map(({ peer }) => peer))];
    return peers.map((peer) => {
      const ofPeer = own.filter((summary) => summary.peer === peer);
      const its = samples.filter((one) => one.workload === workload && one.peer === peer);
      return [workload, peer, ...cellsOf(ofPeer), validity(its)];
    });
  });
  return table(['work', 'peer', ...columns, 'other figures', 'rounds'], rows);
}

function cellsOf(summaries: readonly Summary[]): string[] {
  const named = columns.map((column) => {
    const found = summaries.find(({ metric }) => metric === column);
    return found === undefined ? '–' : text(found);
  });
  const others = summaries.filter(({ metric }) => !columns.some((column) => column === metric));
  return [...named, others.map((one) => `${one.metric} ${text(one)}`).join('; ') || '–'];
}

/** Indexes of nearly 1 differ in their last digits. */
function text({ metric, unit, value }: Summary): string {
  const shown = (one: number) => (metric === metrics.jain ? one.toFixed(5) : number(one));
  const middle = `${shown(value.median)} ${unit}`.trimEnd();
  return value.count === 1 ? middle : `${middle} (${shown(value.min)} … ${shown(value.max)})`;
}

function validity(samples: readonly Sample[]): string {
  const rounds = new Set(samples.map(({ round }) => round)).size;
  const count = (isCounted: (sample: Sample) => boolean) =>
    new Set(samples.filter(isCounted).map(({ round }) => round)).size;
  const voids = count(({ isVoid }) => isVoid === true);
  const disturbed = count(({ isDisturbed, isVoid }) => isDisturbed && isVoid !== true);
  const parts = [`${rounds}`];
  if (voids > 0) parts.push(`**${voids} void**`);
  if (disturbed > 0) parts.push(`${disturbed} disturbed`);
  return parts.join(', ');
}
