// The MAC addresses of a frame as numbers of 48 bits, its first byte the lowest.

const MAC_MASK: u64 = 0x0000_ffff_ffff_ffff;
/** The lowest bit of the first byte that is sent. */
const GROUP_BIT: u64 = 1;

export function destinationOf(header: u32): u64 {
  return load<u64>(header) & MAC_MASK;
}

/** Read together with the end of the destination: nothing behind the addresses is touched. */
export function sourceOf(header: u32): u64 {
  return load<u64>(header, 4) >> 16;
}

export function isGroup(address: u64): bool {
  return (address & GROUP_BIT) != 0;
}
