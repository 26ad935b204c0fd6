// What the project promises, checked against what was measured.

import { heddleName } from './peers/heddle.ts';
import type { RatioSummary } from './suites/forward.ts';
import type { IdleSample } from './suites/idle.ts';

export interface Verdict {
  readonly promise: string;
  readonly measured: string;
  /** Null when this run had no such measurement. */
  readonly isMet: boolean | null;
}

const ratioThresholds = [
  { frameBytes: 64, against: 'ovs-dpdk', atLeast: 0.9 },
  { frameBytes: 1500, against: 'ovs-dpdk', atLeast: 1.5 },
];
const idleCoresMax = 0.02;

export function judge(
  ratios: readonly RatioSummary[],
  idle: readonly IdleSample[],
): readonly Verdict[] {
  const forward = ratioThresholds.map(({ frameBytes, against, atLeast }) => {
    const found = ratios.find((summary) => {
      const isPair = summary.peer === heddleName && summary.against === against;
      return isPair && summary.frameBytes === frameBytes;
    });
    const promise = `${frameBytes} B: at least ${atLeast} × ${against}`;
    if (found === undefined) return { promise, measured: '–', isMet: null };
    const { median, min, max } = found.ratio;
    const measured = `${median.toFixed(2)} × (${min.toFixed(2)} to ${max.toFixed(2)})`;
    return { promise, measured, isMet: median >= atLeast };
  });
  return [...forward, judgeIdle(idle.find(({ peer }) => peer === heddleName))];
}

function judgeIdle(sample: IdleSample | undefined): Verdict {
  const promise = `idle with 8 VFs: under ${percent(idleCoresMax)} of a core`;
  if (sample === undefined) return { promise, measured: '–', isMet: null };
  const measured = percent(sample.switchCores);
  return { promise, measured, isMet: sample.switchCores < idleCoresMax };
}

function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(1)} %`;
}
