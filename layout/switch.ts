// The MAC table (FDB): 4-way sets of one cache line, shared by all processors.
//
//   0            32              48             64
//   ┌────────────┬───────────────┬──────────────┐
//   │ key u64 ×4 │ stamp u32 ×4  │   (free)     │   key = port << 48 | MAC, stored by one atomic
// store;
//   └────────────┴───────────────┴──────────────┘   0 = free. stamp = second of last sight, or
// static.
//
// MAC addresses are held as the 48-bit little-endian number that a load from the frame yields.
export const FDB_SET_SIZE: u32 = 64;
export const FDB_WAYS: u32 = 4;
export const FDB_SET_COUNT: u32 = 1024;
export const FDB_ENTRY_COUNT: u32 = 4096;
export const FDB_STAMPS: u32 = 32;
/** Stamp of a VF's own address: it never ages and never moves. */
export const FDB_STATIC: u32 = 0xffffffff;
