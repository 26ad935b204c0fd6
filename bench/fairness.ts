// How fair and how exact a division is.

/** Jain's index: 1 if all have the same, 1 / n if one has everything. */
export function jainIndex(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('no index of no values');
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  if (squares === 0) throw new RangeError('no index: nobody has anything');
  return sum ** 2 / (values.length * squares);
}

/** How far a value is from what it should be: −0.01 is 1 % too little. */
export function relativeError(value: number, wanted: number): number {
  if (!(wanted > 0)) throw new RangeError(`nothing differs from ${wanted} by a part of it`);
  return value / wanted - 1;
}

/** The largest distance of a part from its weight's part of the sum, relative to that. */
export function weightError(values: readonly number[], weights: readonly number[]): number {
  if (values.length !== weights.length) throw new RangeError('each value needs a weight');
  const sum = (list: readonly number[]) => list.reduce((total, one) => total + one, 0);
  const [all, allWeights] = [sum(values), sum(weights)];
  const errors = values.map((value, at) => relativeError(value / all, weights[at]! / allWeights));
  return Math.max(...errors.map(Math.abs));
}

/** Bytes in intervals, against a rate. */
export interface Windows {
  readonly bytes: readonly number[];
  readonly seconds: readonly number[];
  readonly bytesPerSecond: number;
  /** A frame that is not sent in parts may be in this interval or in the next. */
  readonly largestBytes: number;
}

/** The part of the intervals that differ by no more than the tolerance, or by one frame. */
export function partWithin(
  { bytes, seconds, bytesPerSecond, largestBytes }: Windows,
  tolerance: number,
): number {
  if (bytes.length === 0) throw new RangeError('no part of no intervals');
  const isWithin = (taken: number, at: number) => {
    const wanted = bytesPerSecond * seconds[at]!;
    return Math.abs(taken - wanted) <= Math.max(wanted * tolerance, largestBytes);
  };
  return bytes.filter(isWithin).length / bytes.length;
}
