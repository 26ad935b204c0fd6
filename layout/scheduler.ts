// The schedule: a tree whose leaves are functions, whose inner nodes are groups, and whose root is
// the NIC. Each node has a record of what it is promised and an account of what it has had.

// What a node is promised, written by the control plane. Rates are stored as their inverse, so a
// change of a rate is one store, and 0 means that there is none: zeros promise nothing.
//
//   0         8          16      24        32        40        48     56        64        72    80
//   ┌─────────┬──────────┬───────┬─────────┬─────────┬─────────┬──┬──┬─────────┬─────────┬─────┐
//   │ max:    │ max:     │ burst │ share:  │ share:  │ 1 /     │  │  │ receive:│ receive:│burst│
//   │ ns/byte │ ns/packet│ ns    │ ns/byte │ ns/ns   │ weight  │  │  │ ns/byte │ns/packet│ ns  │
//   └─────────┴──────────┴───────┴─────────┴─────────┴─────────┴──┴──┴─────────┴─────────┴─────┘
//   f64, but for the u32 words at 48 (parent), 52 (priority) and 80 (overhead)
export const PROMISE_SIZE: u32 = 128;
export const PROMISE_MAX_BYTE_NS: u32 = 0;
export const PROMISE_MAX_PACKET_NS: u32 = 8;
/** How long ago `free` may lie: the time for which an unused maximum is kept. */
export const PROMISE_BURST_NS: u32 = 16;
export const PROMISE_SHARE_BYTE_NS: u32 = 24;
/** Of processor time: ns of real time for each ns of work that a guarantee may cost. */
export const PROMISE_SHARE_TIME: u32 = 32;
/** 0: a weight of 1. */
export const PROMISE_WEIGHT_INVERSE: u32 = 40;
/** u32: the group above; 0: none, the node is directly below the NIC. */
export const PROMISE_PARENT: u32 = 48;
/** u32: higher goes first. */
export const PROMISE_PRIORITY: u32 = 52;
/** What the function may receive: ns per byte, ns per packet, and the burst in ns. */
export const PROMISE_RX_BYTE_NS: u32 = 56;
export const PROMISE_RX_PACKET_NS: u32 = 64;
export const PROMISE_RX_BURST_NS: u32 = 72;
/** u32: bytes that each received packet takes on the wire beside its own. */
export const PROMISE_RX_OVERHEAD: u32 = 80;

// What a node has had, written by the processors. Times are f64, in ns of the monotonic clock, and
// mean "paid until": who has had too much has a time in the future. Sums only grow.
export const ACCOUNT_SIZE: u32 = 128;
/** Until when the maximum is used up, in bytes and in packets. */
export const ACCOUNT_FREE: u32 = 0;
export const ACCOUNT_FREE_PACKETS: u32 = 8;
/** Until when the guarantee is fulfilled, in bytes and in processor time. */
export const ACCOUNT_PAID: u32 = 16;
export const ACCOUNT_PAID_TIME: u32 = 24;
/** Until when the maximum of reception is used up. */
export const ACCOUNT_RX_FREE: u32 = 32;
export const ACCOUNT_RX_FREE_PACKETS: u32 = 40;
/** u64: bytes on the wire and packets, segments counted, that the node has sent. */
export const ACCOUNT_BYTES: u32 = 64;
export const ACCOUNT_PACKETS: u32 = 72;
/** f64: ns of processor time. */
export const ACCOUNT_WORK_NS: u32 = 80;
/** f64: ns for which the node had something to send and its maximum did not let it. */
export const ACCOUNT_HELD_NS: u32 = 88;
/** u64: bytes that were sent for a guarantee. */
export const ACCOUNT_SHARE_BYTES: u32 = 96;
