// The port record in the shared state. Written by the control plane, read by every processor. The
// firmware writes only the counts of learned addresses.
//
//   0     8            12              16      18        20     22        24       28
//   ┌─────┬────────────┬───────────────┬───────┬─────────┬──────┬─────────┬────────┬───────────┐
//   │ MAC │ receive    │ learned       │ flags │ untagged│ tag  │ priority│ first  │ is an     │
//   │ u64 │ count u32  │ at most, u32  │ u16   │ VLAN u16│ type │ u16     │ ring   │ uplink u32│
//   ├─────┴────────────┴─┬─────────────┼───────┴─────────┴──────┴─────────┼────────┴───────────┘
//   │ receive queues     │ learned     │  └─ the port's word: one store ──────┘
//   │ u8 × 16            │ u64         │ unlearned u64
//   └────────────────────┴─────────────┴───────────────
//   32                   48            56             64
export const PORT_RECORD_SIZE: u32 = 64;
/** The port's own address with its VLAN, as in the MAC table; 0: none. */
export const PORT_MAC: u32 = 0;
/**
 * Enabled receive queues; 0: nothing can be delivered to this port. RECEIVE_BY_TABLE: a table that
 * its guest has set, in the flow record, selects the queue of each flow.
 */
export const PORT_RECEIVE_COUNT: u32 = 8;
export const RECEIVE_BY_TABLE: u32 = 0x100;
/** Addresses that this port may add to the MAC table; 0: LEARNED_PER_VF_MAX. */
export const PORT_LEARNED_MAX: u32 = 12;
/**
 * The port's word, 8 bytes. 0: no VLAN configuration. Such ports exchange frames with each other,
 * tags included.
 */
export const PORT_FLAGS: u32 = 16;
/** The VLAN of frames that are received and sent without a tag; 0: none. */
export const PORT_VLAN_UNTAGGED: u32 = 18;
/** The EtherType of the port's tags, in the byte order of a little-endian load. */
export const PORT_VLAN_TYPE: u32 = 20;
/** The rest of the tag for frames that came without one: PCP << 13. */
export const PORT_VLAN_PRIORITY: u32 = 22;
/** The port belongs to the VLANs of its set (SHARED_VLANS), and to nothing else. */
export const PORT_F_VLAN: u32 = 1;
/** Frames may come with a tag, and leave with one except for those of PORT_VLAN_UNTAGGED. */
export const PORT_F_TRUNK: u32 = 2;
/** The link is down: frames from the port are dropped. It has no queues, so it receives none. */
export const PORT_F_LINK_DOWN: u32 = 4;
/** The ring number of the port's first queue. */
export const PORT_FIRST_RING: u32 = 24;
/** 1 for an uplink, which has other hosts behind it. */
export const PORT_IS_UPLINK: u32 = 28;
/** The numbers of the enabled receive queues; the flow hash selects one of PORT_RECEIVE_COUNT. */
export const PORT_RECEIVE_QUEUES: u32 = 32;
/**
 * MAC table entries that this port added, and what a recount needs. Written by the firmware.
 *
 *     0             8                                    40          64
 *     exchanges in  │ count: i32, at PORT_LEARNED_COUNT  │ exchanges
 *     progress      │ for byte access                    │ in total
 */
export const PORT_LEARNED: u32 = 48;
export const PORT_LEARNED_COUNT: u32 = 49;
/** Times that the MAC table had no room for an address of this port. Written by the firmware. */
export const PORT_UNLEARNED: u32 = 56;

// The function record in the shared state, written by the control plane.

export const FUNCTION_RECORD_SIZE: u32 = 4;

/** 1 if the guest uses I/O virtual addresses (ACCESS_PLATFORM). */
export const FUNCTION_BEHIND_IOMMU: u32 = 0;

// The owner of a block of ring numbers: u16 function, u16 port.

export const RING_OWNER_SIZE: u32 = 4;
export const RING_OWNER_PORT: u32 = 2;

/** For a function without a port in the switch. */
export const NO_PORT: u32 = 0xffff;

// The flow record: how a guest wants its received flows hashed (5.1.6.4.3) and spread over its
// receive queues (5.1.6.5.7). Written only by the control plane. There is one for each port,
// followed by the NIC's own, which spreads flows for guests that have set no table.
//
//   0            4            8              64                       512                   5120
//   ┌────────────┬────────────┬──────────────┬────────────────────────┬─────────────────────┐
//   │ hash types │ table mask │ unclassified │ queue numbers, u8 × 128│ Toeplitz, u32 × 1152│
//   └────────────┴────────────┴──────────────┴────────────────────────┴─────────────────────┘
//   Toeplitz: for each nibble of the input and each of its values, what it adds to the hash. The
//   control plane makes this table from a key (src/state/flow-record.ts), the firmware looks it up.
export const FLOW_RECORD_SIZE: u32 = 8192;
/** The number of the NIC's own record: PORT_COUNT_MAX. */
export const FLOW_RECORD_OF_NIC: u32 = 256;
/** The types that are hashed; 0: none. */
export const FLOW_HASH_TYPES: u32 = 0;
export const FLOW_TABLE_MASK: u32 = 4;
export const FLOW_UNCLASSIFIED: u32 = 8;
export const FLOW_QUEUES: u32 = 64;
export const FLOW_TOEPLITZ: u32 = 512;
/** Bytes of the table for one nibble: a u32 for each of its values. */
export const FLOW_NIBBLE_SIZE: u32 = 64;
/** Nibbles of the input: source and destination of IPv6, and two ports. */
export const FLOW_NIBBLES: u32 = 72;
