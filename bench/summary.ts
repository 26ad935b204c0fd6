// Summaries of samples: the spread per peer, and the ratios by round per pair of peers.

import type { Sample, SuiteName } from './sample.ts';
import { medianInterval, pairedRatios, type Spread, spread } from './statistics.ts';

/** What samples must have in common to be compared. */
interface Subject {
  readonly suite: SuiteName;
  readonly workload: string;
  readonly x: number | null;
  readonly metric: string;
  readonly unit: string;
}

export interface Summary extends Subject {
  readonly peer: string;
  readonly value: Spread;
  readonly switchCores: Spread | null;
  readonly generatorCores: Spread | null;
  readonly disturbedCount: number;
}

export interface RatioSummary extends Subject {
  readonly peer: string;
  readonly against: string;
  readonly ratio: Spread;
  /** The 95 % interval of the ratios' median; null: too few rounds. */
  readonly interval: { readonly low: number; readonly high: number } | null;
  /** Rounds in which the sample of either was disturbed. */
  readonly disturbedCount: number;
}

/** In the order in which subjects and then peers first appear. */
export function summarize(samples: readonly Sample[]): Summary[] {
  return groups(samples, subjectKey).flatMap((ofSubject) =>
    groups(ofSubject, ({ peer }) => peer).map((own) => ({
      ...subjectOf(own[0]!),
      peer: own[0]!.peer,
      value: spread(own.map(({ value }) => value)),
      switchCores: spreadOrNull(own.map(({ switchCores }) => switchCores)),
      generatorCores: spreadOrNull(own.map(({ generatorCores }) => generatorCores)),
      disturbedCount: own.filter(({ isDisturbed }) => isDisturbed).length,
    })),
  );
}

/** One peer against each other peer: the ratios of the rounds that both have, and their spread. */
export function summarizeRatios(samples: readonly Sample[], peer: string): RatioSummary[] {
  return groups(samples, subjectKey).flatMap((ofSubject) => {
    const own = ofSubject.filter((sample) => sample.peer === peer);
    const others = groups(ofSubject, (sample) => sample.peer).filter(
      (theirs) => theirs[0]!.peer !== peer,
    );
    return others.flatMap((theirs) => compare(own, theirs));
  });
}

function compare(own: readonly Sample[], theirs: readonly Sample[]): RatioSummary[] {
  const pairs = own.flatMap((sample) => {
    const other = theirs.find(({ round }) => round === sample.round);
    // There is no ratio to zero; the summaries show both values.
    return other === undefined || other.value <= 0 ? [] : [[sample, other] as const];
  });
  if (pairs.length === 0) return [];
  const ratios = pairedRatios(
    pairs.map(([sample]) => sample.value),
    pairs.map(([, other]) => other.value),
  );
  const [first, against] = pairs[0]!;
  return [
    {
      ...subjectOf(first),
      peer: first.peer,
      against: against.peer,
      ratio: spread(ratios),
      interval: medianInterval(ratios),
      disturbedCount: pairs.filter(([a, b]) => a.isDisturbed || b.isDisturbed).length,
    },
  ];
}

/** A figure with mostly disturbed rounds is not judged. */
export function isMostlyDisturbed(disturbedCount: number, count: number): boolean {
  return disturbedCount * 2 > count;
}

function subjectOf({ suite, workload, x, metric, unit }: Sample): Subject {
  return { suite, workload, x, metric, unit };
}

function subjectKey({ suite, workload, metric }: Sample): string {
  return `${suite}\n${workload}\n${metric}`;
}

function groups(samples: readonly Sample[], key: (sample: Sample) => string): Sample[][] {
  const found = new Map<string, Sample[]>();
  for (const sample of samples) {
    const group = found.get(key(sample));
    if (group === undefined) found.set(key(sample), [sample]);
    else group.push(sample);
  }
  return [...found.values()];
}

function spreadOrNull(values: readonly (number | null)[]): Spread | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : spread(known);
}
