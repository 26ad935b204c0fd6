// A hash table with open addressing and linear probing. All entries have one size and begin with
// their key (u64, 0: free). The window table and the IOTLB are two of these.
//
// No probe needs a bound: a table has more entries than may be in use, so every probe ends at a
// free one.

/** The index where the probe for a key begins, in a table of 2^`bits` entries. */
export function homeOf(key: u64, bits: u32): u32 {
  return u32((key * 0x9e3779b97f4a7c15) >> (64 - bits));
}

/** The first free index for a key that is not in the table. */
export function freeIndex(base: u32, entrySize: u32, bits: u32, key: u64): u32 {
  const mask: u32 = (1 << bits) - 1;
  let index = homeOf(key, bits);
  while (load<u64>(base + index * entrySize) != 0) index = (index + 1) & mask;
  return index;
}

/** Frees an entry. Later entries move up, so that no probe stops early at the gap. */
export function freeEntry(base: u32, entrySize: u32, bits: u32, index: u32): void {
  const mask: u32 = (1 << bits) - 1;
  let gap = index;
  let next = index;
  for (;;) {
    next = (next + 1) & mask;
    const key = load<u64>(base + next * entrySize);
    if (key == 0) break;
    const distance = (next - homeOf(key, bits)) & mask;
    if (distance < ((next - gap) & mask)) continue; // it would move before its home
    moveEntry(base + gap * entrySize, base + next * entrySize, entrySize);
    gap = next;
  }
  store<u64>(base + gap * entrySize, 0);
}

function moveEntry(to: u32, from: u32, size: u32): void {
  for (let at: u32 = 0; at < size; at += 16) v128.store(to + at, v128.load(from + at));
}
