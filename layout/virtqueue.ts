// Virtqueues (virtio 1.3, 2.7 and 2.8) and the two records that the NIC keeps of each ring.

// struct virtq_desc: le64 addr, le32 len, le16 flags, le16 next.
export const DESCRIPTOR_SIZE: u32 = 16;
export const DESCRIPTOR_LENGTH: u32 = 8;
export const DESCRIPTOR_FLAGS: u32 = 12;
export const DESCRIPTOR_F_NEXT: u32 = 1;
export const DESCRIPTOR_F_WRITE: u32 = 2;
export const DESCRIPTOR_F_INDIRECT: u32 = 4;

// struct virtq_avail: le16 flags, le16 idx, le16 ring[size], le16 used_event.
export const AVAIL_FLAGS: u32 = 0;
export const AVAIL_INDEX: u32 = 2;
export const AVAIL_RING: u32 = 4;
export const AVAIL_F_NO_INTERRUPT: u32 = 1;

// struct virtq_used: le16 flags, le16 idx, { le32 id, le32 len } ring[size], le16 avail_event.
export const USED_FLAGS: u32 = 0;
export const USED_INDEX: u32 = 2;
export const USED_RING: u32 = 4;
export const USED_ELEMENT_SIZE: u32 = 8;
export const USED_F_NO_NOTIFY: u32 = 1;

// Packed virtqueue (2.8): le64 addr, le32 len, le16 id, le16 flags. Instead of the available and
// the used ring, it has the driver's and the device's event structure: le16 off_wrap, le16 flags.
export const PACKED_ID: u32 = 12;
export const PACKED_FLAGS: u32 = 14;
export const PACKED_F_AVAIL: u32 = 0x80;
export const PACKED_F_USED: u32 = 0x8000;
/** NEXT, WRITE and INDIRECT: the descriptor flags that describe its chain. */
export const PACKED_CHAIN_FLAGS: u32 = 7;
/** Combined with a position: the wrap counter, as in vhost-user's ring base. */
export const PACKED_WRAP: u32 = 0x8000;
export const PACKED_EVENT_OFFSET: u32 = 0;
export const PACKED_EVENT_FLAGS: u32 = 2;
export const PACKED_EVENT_SIZE: u32 = 4;
export const PACKED_EVENT_ENABLE: u32 = 0;
export const PACKED_EVENT_DISABLE: u32 = 1;
export const PACKED_EVENT_DESCRIPTOR: u32 = 2;

// The shared ring record: one cache line in the shared state, the same for every processor.
//
//   0      4       8      12      16          20          24              28      32
//   ┌──────┬───────┬──────┬───────┬───────────┬───────────┬───────────────┬───────┬────────────┐
//   │ lock │ state │ size │ flags │ lastAvail │ usedIndex │ signalledUsed │ fault │ headerSize │
//   ├──────┴───┬───┴──────┴──────┬┴───────────┴──────────┬┴───────────────┴──┬────┴────────────┤
//   │ offloads │ deferPackets    │ deferMicroseconds     │ signalledPackets  │ deferredSince   │
//   ├──────────┼─────┬───────────┴───────────────────────┴───────────────────┴─────────────────┘
//   │ 2 × u16  │ MTU │            36, 40, 44, 48, 52
//   └──────────┴─────┘
//   56         60    64             56: floodNext, 58: filled
//
//   lock: 0, or processor + 1 of the holder; used only if several processors deliver to the ring
//   state: valid for all processors once they hold the lock; the state in a view may be older
export const RING_RECORD_SIZE: u32 = 64;
export const RING_LOCK: u32 = 0;
export const RING_STATE: u32 = 4;
export const RING_SIZE: u32 = 8;
export const RING_FLAGS: u32 = 12;
export const RING_LAST_AVAIL: u32 = 16;
export const RING_USED_INDEX: u32 = 20;
export const RING_SIGNALLED_USED: u32 = 24;
export const RING_FAULT: u32 = 28;
export const RING_HEADER_SIZE: u32 = 32;
export const RING_OFFLOADS: u32 = 36;
/** An interrupt is due after this many packets, or this long after the first; 0 packets: now. */
export const RING_DEFER_PACKETS: u32 = 40;
export const RING_DEFER_MICROSECONDS: u32 = 44;
/** The lower half of the packet counter at the guest's last interrupt. */
export const RING_SIGNALLED_PACKETS: u32 = 48;
/**
 * Since when an interrupt is deferred, on the clock of REGISTER_NOW_MICROSECONDS. 0: none is;
 * DEFERRED_JUST_NOW: the clock was not read yet.
 */
export const RING_DEFERRED_SINCE: u32 = 52;
export const DEFERRED_JUST_NOW: u32 = 1;
/**
 * For a transmit ring whose next frame is a flood that some ports have received: the first port
 * that has not. 0: there is no such frame. u16, cleared together with the next field, as one word,
 * when the ring starts.
 */
export const RING_FLOOD_NEXT: u32 = 56;
/** For a receive ring: 1 once its guest has posted a buffer since the ring started. */
export const RING_FILLED: u32 = 58;
/** The largest IP packet that a receive ring's guest accepts; 0: no MTU was negotiated. */
export const RING_MTU: u32 = 60;

// The ring's life cycle; its table of transitions is src/virtqueue/life-cycle.ts.
export const RING_STOPPED: u32 = 0;
export const RING_DISABLED: u32 = 1;
export const RING_ENABLED: u32 = 2;
export const RING_FAULTED: u32 = 3;

// What a ring is for, which decides what a visit does (`serve` in firmware/main.ts).
/** Frames from other rings go to it; it is not in the work list. */
export const RING_KIND_RECEIVE: u32 = 0;
/** Frames come from it. */
export const RING_KIND_TRANSMIT: u32 = 1;
/** The host handles its chains one by one: it is told of the next, and takes it between turns. */
export const RING_KIND_REQUEST: u32 = 2;

export const RING_F_MERGEABLE: u32 = 1;
export const RING_F_EVENT_INDEX: u32 = 2;
export const RING_F_IN_ORDER: u32 = 4;
export const RING_F_INDIRECT: u32 = 8;
export const RING_F_PACKED: u32 = 16;
/** A receive ring whose guest accepts super-frames: frames of a burst are joined (GRO). */
export const RING_F_GRO: u32 = 32;

// What a transmit ring's guest may leave to the device, or a receive ring's guest accepts.
export const OFFLOAD_CHECKSUM: u32 = 1;
export const OFFLOAD_TSO4: u32 = 2;
export const OFFLOAD_TSO6: u32 = 4;
export const OFFLOAD_ECN: u32 = 8;
export const OFFLOAD_UFO: u32 = 16;
export const OFFLOAD_USO4: u32 = 32;
export const OFFLOAD_USO6: u32 = 64;

// Why a ring is stopped until its guest resets it.
export const RING_FAULT_NONE: u32 = 0;
/** avail->idx ran ahead by more than the queue size. */
export const RING_FAULT_AVAIL_INDEX: u32 = 1;
/** The available ring names a descriptor beyond the table. */
export const RING_FAULT_HEAD_INDEX: u32 = 2;
/** Packed: a chain so long that the start of the next one cannot be known. */
export const RING_FAULT_CHAIN: u32 = 4;
/** The firmware trapped while it served this ring. */
export const RING_FAULT_TRAP: u32 = 3;
/** Packed: the NIC that served it was killed, and its position was not recorded. */
export const RING_FAULT_PLACE: u32 = 5;
/** Its size, base or addresses are invalid. */
export const RING_FAULT_SETUP: u32 = 6;
/** Its memory cannot be mapped. */
export const RING_FAULT_MEMORY: u32 = 7;

// The ring view: private to each processor, since each maps guest memory at other addresses.
export const RING_VIEW_SIZE: u32 = 32;
export const RING_VIEW_DESCRIPTORS: u32 = 0;
export const RING_VIEW_AVAIL: u32 = 4;
export const RING_VIEW_USED: u32 = 8;
/** RING_STOPPED while detached from this processor, else RING_DISABLED or RING_ENABLED. */
export const RING_VIEW_STATE: u32 = 12;
/** 1 while the ring is in this turn's list of rings whose guest may want an interrupt. */
export const RING_VIEW_INTERRUPT_DUE: u32 = 16;
/** u16: 1 while the ring waits outside the work list for an event (a translation, a kick). */
export const RING_VIEW_PARKED: u32 = 24;
/** u16: RING_KIND_…. */
export const RING_VIEW_KIND: u32 = 26;
/** Bytes of large frames that may be lent to the ring's driver, in the same processor. */
export const RING_VIEW_LENDABLE_BYTES: u32 = 28;

/**
 * In the length of a used element: after the virtio-net header, the buffer has a list of pieces
 * (linear address u32, length u32) instead of the frame. They are lent until the next turn.
 */
export const USED_LENT: u32 = 0x80000000;
