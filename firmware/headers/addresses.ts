// The MAC addresses of the batch's frames as 48-bit numbers, first byte lowest. Inhale reads them
// once, together with the virtio-net header. Drivers place the two in different cache lines, so
// reading them together overlaps the cache misses.
import { FRAME_ADDRESSES_BASE } from '../../layout/memory';

const MAC_MASK: u64 = 0x0000_ffff_ffff_ffff;
/** The lowest bit of the first byte on the wire. */
const GROUP_BIT: u64 = 1;
/** 01:80:c2:00:00:00, and the bits that all sixteen link-local groups share. */
const LINK_LOCAL: u64 = 0x0000_0000_00c2_8001;
const LINK_LOCAL_MASK: u64 = 0x0000_f0ff_ffff_ffff;

/** Reads the addresses of frame `index`, whose leading bytes are at `header`. */
export function noteAddresses(index: u32, header: u32): void {
  const entry = FRAME_ADDRESSES_BASE + (index << 4);
  store<u64>(entry, load<u64>(header));
  // Overlaps the destination, so that no byte after the addresses is read.
  store<u64>(entry, load<u64>(header, 4), 8);
}

export function destinationAt(index: u32): u64 {
  return load<u64>(FRAME_ADDRESSES_BASE + (index << 4)) & MAC_MASK;
}

export function sourceAt(index: u32): u64 {
  return load<u64>(FRAME_ADDRESSES_BASE + (index << 4), 8) >> 16;
}

export function isGroup(address: u64): bool {
  return (address & GROUP_BIT) != 0;
}

/** A group that no bridge forwards: STP, LACP, LLDP and the like (IEEE 802.1Q, table 8-1). */
export function isLinkLocal(address: u64): bool {
  return (address & LINK_LOCAL_MASK) == LINK_LOCAL;
}
