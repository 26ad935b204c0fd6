// Sets of feature bits (virtio 1.3, 2.2). In tables and in layout/, a feature is a bit number.

export function featureSet(bits: Iterable<number>): bigint {
  let set = 0n;
  for (const bit of bits) set |= 1n << BigInt(bit);
  return set;
}

export function hasFeature(set: bigint, bit: number): boolean {
  return ((set >> BigInt(bit)) & 1n) === 1n;
}

/** The names that a table has for the features in a set, in table order. */
export function namesOfFeatures(set: bigint, bits: Readonly<Record<string, number>>): string[] {
  return Object.keys(bits).filter((name) => hasFeature(set, bits[name] ?? -1));
}
