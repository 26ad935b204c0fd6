// What the project promises, compared with the measurements.

import type { Profile } from './profiles.ts';
import { atLeast, atMost, type Found, figure, type Promised, ratio, within } from './promises.ts';
import type { Sample, SuiteName } from './sample.ts';
import type { Spread } from './statistics.ts';
import {
  packedWorkload,
  plainCopyName,
  splitWorkload,
  superFrameWorkloads,
} from './suites/offload.ts';
import { bridgeName, packetWorkload } from './suites/uplinks.ts';
import { idleWorkload } from './suites/uplinks-idle.ts';
import { outwardWorkload, packetName } from './suites/uplinks-xdp.ts';
import { isMostlyDisturbed } from './summary.ts';
import { beside, sharing } from './thresholds-sharing.ts';
import { hostTapWorkload, qemuTapName } from './vm/host-tap.ts';
import { tcpMixed, tcpOffloaded, tcpPlain } from './vm/suite.ts';

export type Judgement = 'met' | 'not met' | 'not judged' | 'not measured' | 'an aim only';

export interface Verdict {
  readonly suite: SuiteName;
  readonly promise: string;
  readonly measured: string;
  readonly judgement: Judgement;
  /** What the project would like to reach beyond its promise, and whether it does. */
  readonly aim: string | null;
  readonly isAimMet: boolean | null;
}

const full: readonly Promised[] = [
  ratio('forward', '64 B', 'rate', 'ovs-dpdk', atLeast(1.3, 2)),
  ratio('forward', '64 B', 'rate', 'testpmd-vhost', atLeast(0.8, 1.2)),
  ratio('forward', '1500 B', 'rate', 'ovs-dpdk', atLeast(2.5, 4)),
  ratio('forward', '1500 B', 'rate', 'testpmd-vhost', atLeast(1.5, 3)),
  ratio('latency', 'polling', 'p99.9', 'ovs-dpdk', atMost(1, 0.5, ' ×')),
  ratio('vm', tcpPlain, 'both ways', 'bridge-tap', atLeast(1)),
  ratio('vm', tcpOffloaded, 'both ways', 'bridge-tap', atLeast(1.3, 1.5)),
  ratio('vm', tcpOffloaded, 'both ways', 'ovs-dpdk', atLeast(2)),
  within('vm', tcpMixed, tcpPlain, 'both ways', atLeast(0.8)),
  ...superFrameWorkloads.map(({ workload }) =>
    ratio('offload', workload, 'bandwidth', plainCopyName, atLeast(0.6)),
  ),
  within('offload', packedWorkload, splitWorkload, 'rate', atLeast(1)),
  ratio('uplinks', packetWorkload, 'rate', bridgeName, atLeast(0.8)),
  ratio('uplinks', outwardWorkload, 'rate', packetName, atLeast(2)),
  ratio('uplinks', hostTapWorkload, 'both ways', qemuTapName, atLeast(0.9)),
  figure('uplinks', idleWorkload, 'CPU', atMost(1, null, ' % of a core')),
  figure('uplinks', idleWorkload, 'wake-ups', atMost(null, 0, ' a second')),
  figure('idle', '64 VFs', 'CPU', atMost(1, null, ' % of a core')),
  figure('idle', '64 VFs', 'wake-ups', atMost(null, 0, ' a second')),
  within('scale', '64 VFs', '2 VFs', 'total rate', atLeast(0.8, 0.95)),
  figure('scale', 'VF 3 to 64', 'memory per VF', atMost(1024, 128, ' KiB')),
  figure('scale', 'VF 3 to 64', 'time to add', atMost(20, 2, ' ms')),
  ...sharing,
  ...beside,
  figure('allocation', '', 'collections in processors', atMost(0, null, '')),
];

/** The short profile has its own promises, which are older. */
const smoke: readonly Promised[] = [
  ratio('forward', '64 B', 'rate', 'ovs-dpdk', atLeast(0.9)),
  ratio('forward', '1500 B', 'rate', 'ovs-dpdk', atLeast(1.5)),
  figure('idle', '8 VFs', 'CPU', atMost(2, null, ' % of a core')),
];

export function judge(samples: readonly Sample[], profile: Profile['name']): readonly Verdict[] {
  const lists: Partial<Record<Profile['name'], readonly Promised[]>> = { smoke, sharing };
  return (lists[profile] ?? full).map((promised) => {
    const { suite, what, isUpper, must, aim, unit } = promised;
    const bound = isUpper ? 'at most' : 'at least';
    const found = promised.find(samples);
    const judgement = judgementOf(promised, found);
    const isUsable = found !== null && judgement !== 'not judged';
    return {
      ...{ suite, judgement },
      promise: must === null ? what : `${what}: ${bound} ${must}${unit}`,
      measured: found === null ? '–' : describe(found.spread, unit),
      aim: aim === null ? null : `${aim}${unit}`,
      isAimMet: aim === null || !isUsable ? null : holds(found.spread, aim, isUpper),
    };
  });
}

function judgementOf({ must, isUpper }: Promised, found: Found | null): Judgement {
  if (found === null) return 'not measured';
  if (must === null) return 'an aim only';
  if (isMostlyDisturbed(found.disturbedCount, found.spread.count)) return 'not judged';
  return holds(found.spread, must, isUpper) ? 'met' : 'not met';
}

function holds({ median }: Spread, bound: number, isUpper: boolean): boolean {
  return isUpper ? median <= bound : median >= bound;
}

function describe({ median, min, max, count }: Spread, unit: string): string {
  const range = count > 1 ? ` (${min.toFixed(2)} to ${max.toFixed(2)})` : '';
  return `${median.toFixed(2)}${unit}${range}`;
}
