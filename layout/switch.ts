// The MAC table (FDB): 4-way sets of one cache line, shared by all processors.
//
//   0            32              48         56             64
//   ┌────────────┬───────────────┬──────────┬──────────────┐
//   │ key u64 ×4 │ stamp u32 ×4  │ far u64  │ flap u16 ×4  │
//   └────────────┴───────────────┴──────────┴──────────────┘
//   key, changed only by compare-and-swap; 0 = free:
//     63       54 … 59     45 … 53     0 … 44
//     static   distance    port + 1    tag
//   stamp: second of the last sight.  flap: the uplink that the address was last seen at, and below
//   it, how often that changed within the second.
//
// An address is VLAN << 48 | MAC, the MAC as the number that a little-endian load from the frame
// yields: 60 bits. Multiplied by an odd number (modulo 2^60, so nothing is lost) its upper 15 bits
// name the set that is its home, the lower 45 are the tag: so an address and its port fit in one
// word. Where its home is full, an address lives some sets further on: its key has the distance,
// and the home's `far` has a bit for each distance at which there may be such addresses.
export const FDB_SET_SIZE: u32 = 64;
export const FDB_WAYS: u32 = 4;
export const FDB_SET_COUNT: u32 = 32768;
export const FDB_STAMPS: u32 = 32;
export const FDB_FAR: u32 = 48;
export const FDB_FLAPS: u32 = 56;
export const FDB_TAG_BITS: u32 = 45;
export const FDB_PORT_BITS: u32 = 9;
export const FDB_DISTANCE_SHIFT: u32 = 54;
export const FDB_DISTANCE_BITS: u32 = 6;
/** The bit of a VF's own address: it never ages, and never moves while its guest is there. */
export const FDB_STATIC_BIT: u32 = 63;
/**
 * How far from home a learned address may live. Half full, the table still has a place for nearly
 * every address within four sets.
 */
export const FDB_DISTANCE_MAX: u32 = 3;
/** The odd number's halves. */
export const FDB_MULTIPLIER_HIGH: u32 = 0x0e3779b9;
export const FDB_MULTIPLIER_LOW: u32 = 0x7f4a7c15;

// VLANs (IEEE 802.1Q). A port's set of VLANs: 4096 bits, the lowest of the first byte for VLAN 0.
// Bits 0 and 4095 are never set: 0 means "no VLAN", and 4095 is reserved.
export const VLAN_SET_SIZE: u32 = 512;
export const VLAN_ID_MAX: u32 = 4094;
/** Not a VLAN of frames: where the MAC table keeps a trunk's own address for all of its VLANs. */
export const VLAN_ANY: u32 = 4095;
