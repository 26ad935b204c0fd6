// Lossless rates as line rates: the smallest frame that fills a line. The wire is virtual: the rate
// is the one that a physical line of this speed would need.

import { heddleName } from '../peers/heddle.ts';
import type { Sample } from '../sample.ts';
import { summarize } from '../summary.ts';
import { table } from './table.ts';

const lineGbps = [1, 10, 25, 40, 100] as const;

/** On a wire, a frame has a preamble of 8 bytes and is followed by a gap of 12. */
const overheadBytes = 20;

/** Frames per second, in millions; `wireBytes` includes the checksum. */
export function lineRateMpps(gbps: number, wireBytes: number): number {
  return (gbps * 1000) / ((wireBytes + overheadBytes) * 8);
}

export interface Held {
  readonly wireBytes: number;
  readonly mpps: number;
}

/** The smallest size such that it and every larger one is held, or null. */
export function smallestHeld(gbps: number, held: readonly Held[]): number | null {
  let smallest: number | null = null;
  for (const { wireBytes, mpps } of held.toSorted((a, b) => b.wireBytes - a.wireBytes)) {
    if (mpps < lineRateMpps(gbps, wireBytes)) break;
    smallest = wireBytes;
  }
  return smallest;
}

export function renderLines(samples: readonly Sample[]): string {
  const summaries = summarize(samples);
  const peers = [...new Set(summaries.map(({ peer }) => peer))];
  const rows = peers.map((peer) => {
    const held = summaries
      .filter((summary) => summary.peer === peer && summary.x !== null)
      .map(({ x, value }) => ({ wireBytes: x!, mpps: value.median }));
    const cells = lineGbps.map((gbps) => {
      const size = smallestHeld(gbps, held);
      return size === null ? 'none' : `${size} B`;
    });
    return [peer, ...cells];
  });
  const columns = ['peer', ...lineGbps.map((gbps) => `${gbps} Gbit/s`)];
  const text =
    'The smallest frame (of the sizes tried) held without loss on a virtual wire: medians ' +
    `of the rounds. ${heddleName} and its peers use one core each.`;
  return `${text}\n\n${table(columns, rows)}`;
}
