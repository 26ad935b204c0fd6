// The MAC table (FDB): 4-way sets of one cache line, shared by all processors.
//
//   0            32              48         56             64
//   ┌────────────┬───────────────┬──────────┬──────────────┐
//   │ key u64 ×4 │ stamp u32 ×4  │ far u64  │ flap u16 ×4  │
//   └────────────┴───────────────┴──────────┴──────────────┘
//   key, changed only by compare-and-swap; 0 = free:
//     63       54 … 59     45 … 53     0 … 44
//     static   distance    port + 1    tag
//   stamp: the second in which the address was last seen
//   flap: the uplink that the address was last seen at (upper byte), and how often that changed
//   within the second (lower byte)
//
// An address is VLAN << 48 | MAC (60 bits); the MAC is the number that a little-endian load from
// the frame yields. The address is multiplied by an odd number modulo 2^60, which is a bijection.
// The upper 15 bits of the product select its home set, the lower 45 are its tag, so an address and
// its port fit in one word. If the home set is full, the address is stored some sets further on:
// its key has the distance, and `far` of the home set has a bit for each distance at which there
// may be such addresses.
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
/** Marks a VF's own address, which never ages, and never moves while its guest is present. */
export const FDB_STATIC_BIT: u32 = 63;
/**
 * How far from home a learned address may be. In a half full table, nearly every address still
 * finds room within four sets.
 */
export const FDB_DISTANCE_MAX: u32 = 3;
/** The halves of the odd number. */
export const FDB_MULTIPLIER_HIGH: u32 = 0x0e3779b9;
export const FDB_MULTIPLIER_LOW: u32 = 0x7f4a7c15;

// VLANs (IEEE 802.1Q). A port's set of VLANs has 4096 bits; VLAN 0 is the lowest bit of the first
// byte. Bits 0 and 4095 are never set: 0 means "no VLAN", and 4095 is reserved.
export const VLAN_SET_SIZE: u32 = 512;
export const VLAN_ID_MAX: u32 = 4094;
/** Not a VLAN of frames: the MAC table keeps a trunk's own address for all of its VLANs there. */
export const VLAN_ANY: u32 = 4095;
