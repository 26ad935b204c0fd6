// The port record in the shared state. Written by the control plane, read by every processor; what
// is learned is counted by the firmware.
//
//   0     8            12              16      18        20     22        24       28
//   ┌─────┬────────────┬───────────────┬───────┬─────────┬──────┬─────────┬────────┬───────────┐
//   │ MAC │ receive    │ learned       │ flags │ untagged│ tag  │ priority│ first  │ is an     │
//   │ u64 │ count u32  │ at most, u32  │ u16   │ VLAN u16│ type │ u16     │ ring   │ uplink u32│
//   ├─────┴────────────┴─┬─────────────┼───────┴─────────┴──────┴─────────┼────────┴───────────┘
//   │ receive queues     │ learned     │  └─ the port's word: stored at once ─┘
//   │ u8 × 16            │ u64         │ unlearned u64
//   └────────────────────┴─────────────┴───────────────
//   32                   48            56             64
export const PORT_RECORD_SIZE: u32 = 64;
/** The port's own address, with its VLAN, as the MAC table has it; 0: it has none. */
export const PORT_MAC: u32 = 0;
/**
 * Enabled receive queues; 0 means that nothing can be delivered to this port. RECEIVE_BY_TABLE: its
 * guest has set a table, in the flow record, which says where each flow goes.
 */
export const PORT_RECEIVE_COUNT: u32 = 8;
export const RECEIVE_BY_TABLE: u32 = 0x100;
/** Addresses that this port may teach the MAC table; 0: LEARNED_PER_VF_MAX. */
export const PORT_LEARNED_MAX: u32 = 12;
/**
 * The port's word, 8 bytes. 0: no VLAN configuration, the port shares its frames with all others of
 * that kind, tags and all.
 */
export const PORT_FLAGS: u32 = 16;
/** The VLAN of frames that come and go without a tag; 0: there is none. */
export const PORT_VLAN_UNTAGGED: u32 = 18;
/** The EtherType of the port's tags, as a little-endian load sees it. */
export const PORT_VLAN_TYPE: u32 = 20;
/** What a tag says beside the VLAN for frames that came without one: PCP << 13. */
export const PORT_VLAN_PRIORITY: u32 = 22;
/** The port belongs to the VLANs of its set (SHARED_VLANS), and to nothing else. */
export const PORT_F_VLAN: u32 = 1;
/** Frames may come with a tag, and go with one but for those of PORT_VLAN_UNTAGGED. */
export const PORT_F_TRUNK: u32 = 2;
/** The link is down: what comes from the port is dropped. Nothing goes to it: it has no queues. */
export const PORT_F_LINK_DOWN: u32 = 4;
/** The ring number of the port's first queue. */
export const PORT_FIRST_RING: u32 = 24;
/** 1 for an uplink: others' stations are behind it. */
export const PORT_IS_UPLINK: u32 = 28;
/** The enabled receive queues' numbers; the flow hash picks among the first PORT_RECEIVE_COUNT. */
export const PORT_RECEIVE_QUEUES: u32 = 32;
/**
 * MAC table entries that this port taught, with what a recount has to know: a word of the
 * firmware's.
 *
 *     0         8                                   40         64
 *     exchanges │ count: i32, at PORT_LEARNED_COUNT   │ exchanges
 *     under way │ for those who read bytes          │ that there were
 */
export const PORT_LEARNED: u32 = 48;
export const PORT_LEARNED_COUNT: u32 = 49;
/** Times that an address behind this port found no place in the MAC table; the firmware's, too. */
export const PORT_UNLEARNED: u32 = 56;

// The function record in the shared state, written by the control plane.

export const FUNCTION_RECORD_SIZE: u32 = 4;

/** 1 if what the guest names are I/O virtual addresses (ACCESS_PLATFORM). */
export const FUNCTION_BEHIND_IOMMU: u32 = 0;

// Whose a block of ring numbers is: u16 function, u16 port.

export const RING_OWNER_SIZE: u32 = 4;
export const RING_OWNER_PORT: u32 = 2;

/** Of a function that has no place in the switch. */
export const NO_PORT: u32 = 0xffff;

// The flow record: how a guest wants its received flows hashed (5.1.6.4.3) and spread over its
// receive queues (5.1.6.5.7). Written by the control plane alone. There is one for each port, and
// behind them the NIC's own: it spreads flows over the queues of guests that have set no table.
//
//   0            4            8              64                       512                   5120
//   ┌────────────┬────────────┬──────────────┬────────────────────────┬─────────────────────┐
//   │ hash types │ table mask │ unclassified │ queue numbers, u8 × 128│ Toeplitz, u32 × 1152│
//   └────────────┴────────────┴──────────────┴────────────────────────┴─────────────────────┘
//   Toeplitz: for each half byte of the input and each value of it, what it adds to the hash. The
//   control plane makes the table of a key (src/state/flow-record.ts), the firmware looks it up.
export const FLOW_RECORD_SIZE: u32 = 8192;
/** The number of the NIC's own record: PORT_COUNT_MAX. */
export const FLOW_RECORD_OF_NIC: u32 = 256;
/** The types that are hashed; 0: none is. */
export const FLOW_HASH_TYPES: u32 = 0;
export const FLOW_TABLE_MASK: u32 = 4;
export const FLOW_UNCLASSIFIED: u32 = 8;
export const FLOW_QUEUES: u32 = 64;
export const FLOW_TOEPLITZ: u32 = 512;
/** What the table has for one half byte: a u32 for each of its values. */
export const FLOW_NIBBLE_SIZE: u32 = 64;
/** Half bytes of the input: source and destination of IPv6, and two ports. */
export const FLOW_NIBBLES: u32 = 72;
