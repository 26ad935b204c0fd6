// Sets of feature bits (virtio 1.3, 2.2). In tables and in layout/ a feature is the number of its
// bit.

export function featureSet(bits: Iterable<number>): bigint {
  let set = 0n;
  for (const bit of bits) set |= 1n << BigInt(bit);
  return set;
}

export function hasFeature(set: bigint, bit: number): boolean {
  return ((set >> BigInt(bit)) & 1n) === 1n;
}

/** The names of those of a set that a table names, in the table's order. */
export function namesOfFeatures(set: bigint, bits: Readonly<Record<string, number>>): string[] {
  return Object.keys(bits).filter((name) => hasFeature(set, bits[name] ?? -1));
}
