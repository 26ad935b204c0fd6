import { expect, test } from 'vitest';
import type { VfStats } from '../functions/net/types.ts';
import type { NicStats } from '../nic/types.ts';
import { readRing } from '../state/counters.ts';
import { parseOptions } from './options.ts';
import { ratesBetween } from './rates.ts';
import { hasTrafficBothWays, type Measurements, makeReport, summaryLines } from './report.ts';

const times = { workNanoseconds: 0, heldNanoseconds: 0 };
const account = { bytes: 0, packets: 0, ...times, guaranteedBytes: 0 };

function vfStats(name: string, packets: number, drops: Record<string, number>): VfStats {
  const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0);
  const common = { packets, bytes: packets * 1000 };
  const tx = { ...readRing('tx', () => 0), ...common, forwarded: packets };
  const rx = { ...readRing('rx', () => 0), ...common, offered: packets + dropped, drops };
  return {
    name,
    mac: '02:00:00:00:00:01',
    state: 'ready',
    link: 'up',
    addresses: { learned: 0, unlearned: 0 },
    account,
    tx,
    rx,
    queues: [],
  };
}

function nicStats(uptimeSeconds: number, ...vfs: VfStats[]): NicStats {
  const others = { account, groups: [], uplinks: [], processors: [] };
  return { name: 'nic0', uptimeSeconds, vfs, ...others };
}

const measured: Measurements = {
  guests: 'qemu',
  roundTripsMs: [2, 0.5, 9],
  forwardMbps: 812.34,
  reverseMbps: 790,
};
const stats = nicStats(9, vfStats('vm1', 10, { ringFull: 2 }), vfStats('vm2', 5, { ringFull: 1 }));

test('the report has rates, round trips, counters and the sum of all drops', () => {
  const report = makeReport(measured, stats);
  expect(report).toMatchObject({
    guests: 'qemu',
    tcp: { forwardMbps: 812.3, reverseMbps: 790 },
    rttMs: { min: 0.5, median: 2 },
    drops: { ringFull: 3 },
  });
  expect(report.vfs.map((vf) => [vf.name, vf.tx.packets])).toEqual([
    ['vm1', 10],
    ['vm2', 5],
  ]);
  expect(summaryLines(report).filter((line) => line.includes('UNACCOUNTED'))).toEqual([]);
});

test('success needs traffic both ways', () => {
  expect(hasTrafficBothWays(makeReport(measured, stats))).toBe(true);
  expect(hasTrafficBothWays(makeReport({ ...measured, reverseMbps: 0 }, stats))).toBe(false);
  const silent = nicStats(9, vfStats('vm1', 10, {}), vfStats('vm2', 0, {}));
  expect(hasTrafficBothWays(makeReport(measured, silent))).toBe(false);
});

test('the summary shows a lost frame', () => {
  const vf = vfStats('vm1', 10, {});
  vf.rx.offered++;
  expect(summaryLines(makeReport(measured, nicStats(9, vf))).join('\n')).toContain('UNACCOUNTED');
});

test('frames that GRO joined are accounted for', () => {
  const vf = vfStats('vm1', 10, {});
  vf.rx.offered += 5;
  vf.rx.groMerged = 5;
  const lines = summaryLines(makeReport(measured, nicStats(9, vf))).join('\n');
  expect(lines).not.toContain('UNACCOUNTED');
});

test('rates are between two readings, drops are totals', () => {
  const before = nicStats(1, vfStats('vm1', 1000, { ringFull: 1 }));
  const after = nicStats(3, vfStats('vm1', 3000, { ringFull: 4 }));
  expect(ratesBetween(before, after)).toEqual([
    { name: 'vm1', sentMbps: 8, receivedMbps: 8, packetsPerSecond: 2000, drops: 4 },
  ]);
});

test('options have defaults, and an error names a wrong one', () => {
  expect(parseOptions([])).toEqual({ seconds: 10, report: undefined, isHelpWanted: false });
  expect(parseOptions(['--seconds', '4', '--report', 'r.json'])).toMatchObject({
    seconds: 4,
    report: 'r.json',
  });
  expect(() => parseOptions(['--seconds', '1'])).toThrow(
    '--seconds must be a whole number, 2 or more: received 1',
  );
  expect(() => parseOptions(['--second', '4'])).toThrow("'--second'");
});
