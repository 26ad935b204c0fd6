// Counters of one queue: 64 × u64 in the shared state, indexed by ring number. One writer at a
// time: the processor that owns the transmit ring, or the holder of the receive ring's lock.
//
//   0                8                20                        52               64
//   ┌────────────────┬────────────────┬─────────────────────────┬────────────────┐
//   │ every batch    │ the others     │ drops, by reason        │ faults, by     │
//   │ (a cache line) │                │                         │ reason         │
//   └────────────────┴────────────────┴─────────────────────────┴────────────────┘
//
// src/state/counter-table.ts describes each counter, per direction.
//
// Transmit (from the guest):  packets = forwarded + Σ drops
// Receive  (to the guest):    offered = packets + groMerged + Σ drops
// The NIC as a whole:         Σ forwarded + Σ replicas + Σ segments = Σ offered
export const COUNTER_RECORD_SIZE: u32 = 512;
export const COUNTER_COUNT: u32 = 64;

export const COUNTER_PACKETS: u32 = 0;
export const COUNTER_BYTES: u32 = 1;
export const COUNTER_FORWARDED: u32 = 2;
export const COUNTER_OFFERED: u32 = 3;
/** Written by the processor's host side. */
export const COUNTER_KICKS: u32 = 4;
export const COUNTER_INTERRUPTS: u32 = 5;
export const COUNTER_SEGMENTS: u32 = 6;
export const COUNTER_CHECKSUMS: u32 = 7;

export const COUNTER_REPLICAS: u32 = 8;
export const COUNTER_GRO_MERGED: u32 = 9;
export const COUNTER_WINDOW_MISSES: u32 = 10;
export const COUNTER_FAULTS: u32 = 11;
/** Written by the control plane. */
export const COUNTER_REFUSED: u32 = 12;
export const COUNTER_PAGE_WAITS: u32 = 13;

/** Drop counters start here, at COUNTER_DROPS + reason. */
export const COUNTER_DROPS: u32 = 20;

/**
 * Faults by reason: one counter for each RING_FAULT_…, at COUNTER_FAULT_REASONS + fault − 1. Their
 * sum is COUNTER_FAULTS.
 */
export const COUNTER_FAULT_REASONS: u32 = 52;

/** A buffer is outside the guest's memory. */
export const DROP_BUFFER_ADDRESS: u32 = 0;
/** A chain is too long: a cycle, or more descriptors than the queue. */
export const DROP_CHAIN_LENGTH: u32 = 1;
/** `next` is a descriptor beyond the table. */
export const DROP_CHAIN_NEXT: u32 = 2;
/** Device-writable on transmit, or read-only on receive. */
export const DROP_BUFFER_DIRECTION: u32 = 3;
/**
 * An indirect table that is nested, empty, not a multiple of 16 bytes, too long or not negotiated.
 */
export const DROP_INDIRECT_TABLE: u32 = 4;
/** A chain shorter than the virtio-net header. */
export const DROP_HEADER_SHORT: u32 = 5;
/** The header asks for an offload that was not negotiated. */
export const DROP_HEADER_OFFLOAD: u32 = 6;
/** Shorter than an Ethernet header. */
export const DROP_RUNT: u32 = 7;
/** Longer than FRAME_SIZE_MAX. */
export const DROP_GIANT: u32 = 8;
/** The source address is a group address. */
export const DROP_SOURCE_ADDRESS: u32 = 9;
/** Taken from a ring that the front-end has disabled. */
export const DROP_QUEUE_DISABLED: u32 = 10;
/** The destination is where the frame came from: no frame returns to its sender. */
export const DROP_HAIRPIN: u32 = 11;
/** The destination's VF has no running receive queue. */
export const DROP_DESTINATION_DOWN: u32 = 12;
/** There is no other port to flood to. */
export const DROP_NO_DESTINATION: u32 = 13;
/** The frame needs more windows together than there are slots. */
export const DROP_WINDOW_EXHAUSTED: u32 = 14;
/** Receive: the guest has posted no buffer. */
export const DROP_RING_FULL: u32 = 15;
/** Receive: the posted buffers are too small for the frame. */
export const DROP_BUFFER_TOO_SMALL: u32 = 16;
/** Receive: the ring stopped between the decision and the delivery. */
export const DROP_RING_STOPPED: u32 = 17;
/** csum_start and csum_offset are beyond the frame, or beyond the headers that are parsed. */
export const DROP_CHECKSUM_FIELD: u32 = 18;
/** The segmentation metadata does not match the headers of the frame. */
export const DROP_SEGMENTATION: u32 = 19;
/** The port is not a member of the frame's VLAN, or rejects its tag (IEEE 802.1Q, 8.6.2). */
export const DROP_VLAN_FILTER: u32 = 20;
/** Receive: the address of the next posted buffer has no translation yet. */
export const DROP_UNTRANSLATED: u32 = 21;
/** The link of the sender, or of the destination, is down. */
export const DROP_LINK_DOWN: u32 = 22;
/** Sent to a link-local group: 01:80:c2:00:00:00 to 0f stay on their link (IEEE 802.1Q, 8.6.3). */
export const DROP_LINK_LOCAL: u32 = 23;
/** Receive: a packet longer than the MTU that the guest negotiated (virtio 1.2, 5.1.4.1). */
export const DROP_MTU: u32 = 24;
/** Receive: beyond what the function may receive, and the frame could not wait. */
export const DROP_RECEIVE_RATE: u32 = 25;
