// The MAC table (FDB): 4-way sets of one cache line, shared by all processors.
//
//   0            32              48             64
//   ┌────────────┬───────────────┬──────────────┐
//   │ key u64 ×4 │ stamp u32 ×4  │   (free)     │   key = (port + 1) << 50 | tag, stored by one
//   └────────────┴───────────────┴──────────────┘   atomic store; 0 = free.
//                                                   stamp = second of last sight, or static.
//
// An address is VLAN << 48 | MAC, the MAC as the number that a little-endian load from the frame
// yields: 60 bits. Multiplied by an odd number (modulo 2^60, so nothing is lost) its upper 10 bits
// name the set, the lower 50 are the tag: so an address and its port fit in one word.
export const FDB_SET_SIZE: u32 = 64;
export const FDB_WAYS: u32 = 4;
export const FDB_SET_COUNT: u32 = 1024;
export const FDB_ENTRY_COUNT: u32 = 4096;
export const FDB_STAMPS: u32 = 32;
export const FDB_TAG_BITS: u32 = 50;
/** The odd number's halves. */
export const FDB_MULTIPLIER_HIGH: u32 = 0x0e3779b9;
export const FDB_MULTIPLIER_LOW: u32 = 0x7f4a7c15;
/** Stamp of a VF's own address: it never ages and never moves. */
export const FDB_STATIC: u32 = 0xffffffff;

// VLANs (IEEE 802.1Q). A port's set of VLANs: 4096 bits, the lowest of the first byte for VLAN 0.
// Bits 0 and 4095 are never set: 0 means "no VLAN", and 4095 is reserved.
export const VLAN_SET_SIZE: u32 = 512;
export const VLAN_ID_MAX: u32 = 4094;
/** Not a VLAN of frames: where the MAC table keeps a trunk's own address for all of its VLANs. */
export const VLAN_ANY: u32 = 4095;
