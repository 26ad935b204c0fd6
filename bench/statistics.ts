// The few statistics that the reports use. Shared machines vary by a factor of two from minute to
// minute, so peers are compared by ratios of neighbouring runs, and never without their spread.

export interface Spread {
  readonly count: number;
  readonly min: number;
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
  readonly max: number;
}

/** Linear interpolation between the two closest ranks (Hyndman and Fan's type 7). */
export function quantile(values: readonly number[], fraction: number): number {
  if (values.length === 0) throw new RangeError('no quantile of no values');
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (sorted.length - 1) * fraction;
  const lower = Math.floor(rank);
  const below = sorted[lower]!;
  const above = sorted[Math.min(lower + 1, sorted.length - 1)]!;
  return below + (above - below) * (rank - lower);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function spread(values: readonly number[]): Spread {
  return {
    count: values.length,
    min: quantile(values, 0),
    q1: quantile(values, 0.25),
    median: median(values),
    q3: quantile(values, 0.75),
    max: quantile(values, 1),
  };
}

/** The distance between the quartiles: the middle half of the values. */
export function interquartileRange({ q1, q3 }: Spread): number {
  return q3 - q1;
}

/** The ratio of each round. Both lists have one value per round, in the same order. */
export function pairedRatios(
  numerators: readonly number[],
  denominators: readonly number[],
): number[] {
  if (numerators.length !== denominators.length) {
    const lengths = `${numerators.length} and ${denominators.length}`;
    throw new RangeError(`paired ratios need pairs: received ${lengths} values`);
  }
  return numerators.map((numerator, round) => {
    const denominator = denominators[round]!;
    if (!(denominator > 0)) throw new RangeError(`no ratio to ${denominator} in round ${round}`);
    return numerator / denominator;
  });
}

/**
 * The 95 % interval of the median, from ranks alone: no assumption about the distribution of noise.
 * The rank is the largest r with P(Binomial(n, ½) < r) ≤ 2.5 %. Null for fewer than six values:
 * even their whole range covers less.
 */
export function medianInterval(values: readonly number[]): { low: number; high: number } | null {
  const count = values.length;
  let probability = 0.5 ** count;
  let below = 0;
  let rank = 0;
  while (below + probability <= 0.025) {
    below += probability;
    rank += 1;
    probability *= (count - rank + 1) / rank;
  }
  if (rank === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  return { low: sorted[rank - 1]!, high: sorted[count - rank]! };
}
