// How a promise finds its figure among the samples.

import { heddleName } from './peers/heddle.ts';
import type { Sample, SuiteName } from './sample.ts';
import { medianInterval, type Spread, spread } from './statistics.ts';
import { summarize, summarizeRatios } from './summary.ts';

/** A figure, and how many of its rounds were disturbed. */
export interface Found {
  readonly spread: Spread;
  readonly disturbedCount: number;
  /** The 95 % interval of a ratio's median; null: too few rounds. */
  readonly interval?: { readonly low: number; readonly high: number } | null;
}

export interface Bound {
  readonly isUpper: boolean;
  /** Null: there is only an aim. */
  readonly must: number | null;
  readonly aim: number | null;
  /** The unit of bound and figure. */
  readonly unit: string;
}

export interface Promised extends Bound {
  readonly suite: SuiteName;
  readonly what: string;
  find(samples: readonly Sample[]): Found | null;
}

export const atLeast = (must: number, aim: number | null = null, unit = ' ×'): Bound => {
  return { isUpper: false, must, aim, unit };
};
export const atMost = (must: number | null, aim: number | null, unit: string): Bound => {
  return { isUpper: true, must, aim, unit };
};

export function ratio(
  suite: SuiteName,
  workload: string,
  metric: string,
  against: string,
  bound: Bound,
): Promised {
  return {
    ...bound,
    ...{ suite, what: `${suite} ${workload}, ${metric} against ${against}` },
    find(samples) {
      const own = samples.filter((one) => isOf(one, suite, workload, metric));
      const found = summarizeRatios(own, heddleName).find((one) => one.against === against);
      return found === undefined ? null : { ...found, spread: found.ratio };
    },
  };
}

/** A figure of Heddle alone. An empty workload matches all. */
export function figure(suite: SuiteName, workload: string, metric: string, bound: Bound): Promised {
  return {
    ...bound,
    ...{ suite, what: `${suite}${workload === '' ? '' : ` ${workload}`}, ${metric}` },
    find(samples) {
      const own = samples.filter((one) => isOf(one, suite, workload || one.workload, metric));
      const found = summarize(own).find(({ peer }) => peer === heddleName);
      return found === undefined ? null : { ...found, spread: found.value };
    },
  };
}

/**
 * Of the workloads whose names begin like this, the one that is worst in the middle of its rounds:
 * a good one must not hide a bad one.
 */
export function worst(suite: SuiteName, prefix: string, metric: string, bound: Bound): Promised {
  return {
    ...bound,
    ...{ suite, what: `${suite} ${prefix}, ${metric}, the worst` },
    find(samples) {
      const own = samples.filter(
        (one) => one.workload.startsWith(prefix) && isOf(one, suite, one.workload, metric),
      );
      const found = summarize(own).filter(({ peer }) => peer === heddleName);
      const sign = bound.isUpper ? 1 : -1;
      const [first] = found.toSorted((a, b) => sign * (b.value.median - a.value.median));
      return first === undefined ? null : { ...first, spread: first.value };
    },
  };
}

/** The lower end of the 95 % interval of a ratio's median: of two workloads, or of two peers. */
export function surely(promised: Promised): Promised {
  return {
    ...promised,
    what: `${promised.what}, lower end of the 95 % interval`,
    find(samples) {
      const found = promised.find(samples);
      const low = found?.interval?.low;
      if (found === null || low === undefined) return null;
      return { ...found, spread: { ...found.spread, min: low, median: low } };
    },
  };
}

/** Heddle with one workload against Heddle with another, round by round. */
export function within(
  suite: SuiteName,
  workload: string,
  baseWorkload: string,
  metric: string,
  bound: Bound,
): Promised {
  return {
    ...bound,
    ...{ suite, what: `${suite}, ${metric} of ${workload} against ${baseWorkload}` },
    find(samples) {
      const of = (work: string) =>
        samples.filter((one) => isOf(one, suite, work, metric) && one.peer === heddleName);
      const pairs = of(workload).flatMap((sample) => {
        const base = of(baseWorkload).find(({ round }) => round === sample.round);
        return base === undefined ? [] : [{ sample, base }];
      });
      if (pairs.length === 0) return null;
      const isPairDisturbed = ({ sample, base }: (typeof pairs)[number]) =>
        sample.isDisturbed || base.isDisturbed;
      const ratios = pairs.map(({ sample, base }) => sample.value / base.value);
      return {
        spread: spread(ratios),
        interval: medianInterval(ratios),
        disturbedCount: pairs.filter(isPairDisturbed).length,
      };
    },
  };
}

function isOf(sample: Sample, suite: SuiteName, workload: string, metric: string): boolean {
  return sample.suite === suite && sample.workload === workload && sample.metric === metric;
}
