// Named limits, each with its reason. limits.test.ts checks how they relate.

/**
 * Functions of one NIC, of all kinds: 256 VMs with a VF, a disk, a vsock and one more each. The
 * function number identifies a guest's memory in the keys of windows and translations.
 */
export const FUNCTION_COUNT_MAX: u32 = 1024;

/** Groups of one NIC, which share what they are promised among the functions in them. */
export const GROUP_COUNT_MAX: u32 = 256;
/** Levels of groups below the NIC itself. */
export const GROUP_DEPTH_MAX: u32 = 4;

// Nodes of the schedule: a function's own number, then the groups, then the NIC.
export const NODE_FIRST_GROUP: u32 = FUNCTION_COUNT_MAX;
export const NODE_ROOT: u32 = NODE_FIRST_GROUP + GROUP_COUNT_MAX;
export const NODE_COUNT: u32 = NODE_ROOT + 1;

/** The `txPriority` of a node is less than this, as in IEEE 802.1Q. */
export const PRIORITY_COUNT: u32 = 8;
/** The `txWeight` of a node is at most this. */
export const WEIGHT_MAX: u32 = 1000;

/** Ports of the switch: VFs and uplinks. A port number has to fit in 8 bits in the MAC table. */
export const PORT_COUNT_MAX: u32 = 256;

/** Queue pairs of one VF. Offloads and RSS are designed for this number; few guests use more. */
export const QUEUE_PAIRS_MAX: u32 = 16;

/**
 * The control queue's index among the rings of its VF, after a receive and a transmit queue for
 * each pair. Its virtqueue number depends on what is negotiated; its ring number must not.
 */
export const CONTROL_QUEUE: u32 = 32;

/** Ring numbers of one NIC: enough for 256 VMs with a VF, a disk and a vsock each, and more. */
export const RING_COUNT_MAX: u32 = 32768;

/** Ring numbers are assigned in blocks of this size: a table names the owner of each block. */
export const RING_BLOCK_SIZE: u32 = 4;
export const RING_BLOCK_SHIFT: u32 = 2;

/** Bytes of a request that are read: more than the largest known one, a table of addresses. */
export const REQUEST_SIZE_MAX: u32 = 4096;

/** Descriptors in the chain of a request: Linux sends at most 8. */
export const REQUEST_LENGTH_MAX: u32 = 64;

/** Bytes of an answer: the ack and the largest result after it. */
export const ANSWER_SIZE_MAX: u32 = 16;

/** Entries of a virtqueue (virtio 1.3, 2.7: the queue size is at most 32768). */
export const QUEUE_SIZE_MAX: u32 = 32768;

/**
 * Descriptors of one chain. Linux sends at most MAX_SKB_FRAGS + 2; 1024 is the largest queue of
 * QEMU, so no driver there can build a longer chain. This bounds the walk in case of a cycle.
 */
export const CHAIN_LENGTH_MAX: u32 = 1024;

/** Processors (worker threads) of one NIC. */
export const PROCESSOR_COUNT_MAX: u32 = 16;

/**
 * Checks of a lock that another processor holds before this one yields the CPU: about 0.1 ms, more
 * than most deliveries take.
 */
export const LOCK_SPINS_MAX: u32 = 10_000;

/**
 * Frames of one batch: enough to overlap cache misses and to share the cost of visiting a ring, few
 * enough to stay fair (about 5 µs of small frames).
 */
export const BATCH_MAX: u32 = 128;

/** The approximate cost of a frame in ns, plus 1 for every 2^BYTES_COST_SHIFT bytes. */
export const FRAME_COST: u32 = 25;
export const BYTES_COST_SHIFT: u32 = 3;

/**
 * The approximate cost in ns of each further copy of a frame that is flooded or segmented. Unlike
 * the first copy, it goes to another ring or has its own headers.
 */
export const COPY_COST: u32 = 100;
/** The cost of four bytes of such a copy: its destination is in no cache. */
export const COPY_BYTES_SHIFT: u32 = 2;
/** The approximate cost of each piece of memory of a frame after the first. */
export const PIECE_COST: u32 = 15;
/** The cost of one descriptor of a chain that is walked. */
export const WALK_STEP_COST: u32 = 4;

/**
 * A batch takes no further flooded frame once its copies cost this much, in ns: little more than
 * other batches, since functions with little to send wait for its end. A single frame that costs
 * more goes to some of the ports in each batch.
 */
export const FLOOD_COST_MAX: u32 = 3000;

/** The approximate cost of a window that the host has to map: as much as a whole turn. */
export const MISS_COST: u32 = 14_000;

/** The approximate cost of a batch beside that of its frames, in ns. */
export const BATCH_COST: u32 = 300;

/** What the host does for a function between two turns, such as a message, hardly takes longer. */
export const HOST_COST: u32 = 50_000;

/** A turn ends once its batches took this long, in ns; the next one continues. */
export const TURN_NS: u32 = 10_000;

/** For so long, in ns, a visit lets the kernel find pages of large frames; then one more. */
export const FAULT_IN_NS: u32 = 50_000;

/** A frame is taken after so many visits, whatever its pages take: more than it has pages. */
export const PAGE_WAIT_STREAK_MAX: u32 = 2048;

/**
 * What a batch may take, in ns, while functions with little to send are waiting. It is also what a
 * function that becomes busy again is ahead of the others.
 */
export const BATCH_NS: u32 = 3000;

/** For so long after a function with little to send was served, batches stay short (ns). */
export const SHORT_NS: u32 = 1_000_000;

/**
 * Frames of such a batch, … With 64 of them in 16 KiB, a pair that answers at once took 2.15 times
 * as long beside 15 floods as alone (p99); with 36 in 9 KiB 1.91 times.
 */
export const BATCH_SHORT: u32 = 36;
/** … the segments after which it takes no further super-frame: about 2 µs, … */
export const SEGMENTS_SHORT: u32 = 18;
/** … and its share of PIECE_BUDGET. */
export const PIECES_SHORT: u32 = 144;

/** A maximum that is used up stops its node for this long, in ns: not for every single frame. */
export const STOP_NS: u32 = 50_000;
/** At a low rate until it may send so many bytes or packets again, … */
export const STOP_BYTES: u32 = 8192;
export const STOP_PACKETS: u32 = 32;
/** … but no longer than this (ns): a timer's delay is added, and 10 ms are to be right to 0.5. */
export const STOP_NS_MAX: u32 = 150_000;

/** For so long after a maximum was used up, it counts as what those below it share (ns). */
export const WIRE_SHORT_NS: u32 = 2_000_000;

/** Time that passes without a reason counts as lost from here on (ns): the kernel took the CPU. */
export const LOST_NS_MIN: u32 = 100_000;
/** Lost time that a maximum may make up for, in ns. */
export const CREDIT_NS_MAX: u32 = 20_000_000;
/** And a guarantee: a turn of another thread, but not so long that others notice it. */
export const SHARE_CREDIT_NS_MAX: u32 = 4_000_000;
/** Who had nothing to send for longer than this, in all, while it had credit, loses it (ns). */
export const CREDIT_IDLE_NS_MAX: u32 = 500_000;

/**
 * A sleep for stopped nodes is longer than it must be, in ns: each of them has a few frames to send
 * then, and others can go on with it. Less than a burst, and less than the 0.5 ms by which a
 * maximum may be wrong in 10 ms.
 */
export const OVERSLEEP_NS: u32 = 200_000;

/** An unused guarantee is kept for so long, in ns: more would let who wakes silence the others. */
export const KEPT_NS: u32 = 100_000;

/** Of what higher priorities take, the lower ones get one part in so many. */
export const PRIORITY_FLOOR: u32 = 100;

/** How long a frame may wait in its ring for its receiver, in ns, … */
export const PATIENCE_NS: u32 = 1_000_000;
/** … of which a function has one part in so many of all time, as receiver and as sender, … */
export const PATIENCE_PART: u32 = 100;
/** … kept for so long, in ns: the part of it is one such wait. */
export const PATIENCE_KEPT_NS: u32 = 100_000_000;

/** How soon a ring that waits is looked at again, if its receiver cannot tell when, in ns. */
export const WAIT_SLICE_NS: u32 = 10_000;

/** … but with many of them, not before so many ns for each: a tenth of all time at most. */
export const WAIT_RING_NS: u32 = 250;

/** Work that takes so many times its cost by count may have lost its CPU: that is looked up. */
export const CHARGE_FACTOR_MAX: u32 = 4;

/** No work takes less than this part of its cost by count, whatever the clock says: turns end. */
export const CHARGE_PART_MIN: u32 = 16;

/** A single charge is at most this, in ns: what takes longer, the machine has taken. */
export const CHARGE_MAX_NS: u32 = 1_000_000;

/** Batches of plain frames that should take less than this together share a look at the clock. */
export const SHARED_LOOK_NS: u32 = 4000;
/** No more than 14 fit, since each costs at least BATCH_COST by count. */
export const LOOK_SHARES_MAX: u32 = 16;

/** A function that sends steadily is not looked at again for so long once it is empty (ns), … */
export const PAUSE_NS: u32 = 2000;
/** … if so many frames are expected in that time: for fewer, their delay is not worth it. */
export const PAUSE_FRAMES: u32 = 4;

/** Rings of idle functions that are looked at every BATCH_NS of work: about 0.2 µs. */
export const SWEEP_RINGS: u32 = 32;

/** A batch with fewer frames is delivered in one step, unless it has more than STEP_BYTES. */
export const STEP_FRAMES_MIN: u32 = 32;

/** Bytes delivered to one receiver before it is notified (about 5 µs of copying). */
export const STEP_BYTES: u32 = 48 * 1024;

/**
 * Descriptors read for one frame, over all buffers that it takes: two of the longest chains.
 * Without this limit, long chains of tiny buffers would cost millions of steps per frame.
 */
export const WALK_LENGTH_MAX: u32 = 2048;

/**
 * The part of WALK_LENGTH_MAX that a frame may always use on its receivers' buffers: honest guests
 * post whole pages, and no frame takes more of those.
 */
export const WALK_STEPS_PER_FRAME: u32 = 64;

/**
 * Descriptors that all frames of a batch may read beyond that: some 16 µs. It is used up after four
 * chains of the maximum length; a guest with ordinary buffers never notices.
 */
export const WALK_STEPS_PER_BATCH: u32 = 4096;

/**
 * What each segment of a super-frame adds to a frame's part: a chain of a header and pages, as
 * guests post them.
 */
export const WALK_STEPS_PER_SEGMENT: u32 = 8;

/**
 * Buffers of a ring for which one delivery keeps records: what eight super-frames take in pages,
 * and more.
 */
export const POSTED_COUNT_MAX: u32 = 256;

/** Segments of one super-frame: 64 KiB in the smallest segments that Linux's TCP sends. */
export const SEGMENTS_PER_FRAME_MAX: u32 = 2048;

/**
 * Pieces (guest memory that is contiguous in a window) of one batch. After a batch just below
 * PIECE_BUDGET, there is still room for a chain of CHAIN_LENGTH_MAX descriptors that all cross a
 * window boundary.
 */
export const PIECE_COUNT_MAX: u32 = 2304;

/** A batch takes no further frame once it has this many pieces: the cost of one turn of a ring. */
export const PIECE_BUDGET: u32 = 256;

/** 2 KiB of a frame cost as much as a piece: eight super-frames are a batch. */
export const LENGTH_COST_SHIFT: u32 = 11;

/** 64 bytes, while functions with little to send are waiting: about 9 KiB are a batch. */
export const LENGTH_COST_SHIFT_SHORT: u32 = 6;

/** Destination, source and EtherType. */
export const FRAME_SIZE_MIN: u32 = 14;

/** A 64 KiB IP packet (the largest super-frame), its Ethernet header and a VLAN tag. */
export const FRAME_SIZE_MAX: u32 = 65553;

/**
 * Leading bytes of a scattered frame that are copied to scratch, so that headers can be read in one
 * piece: two VLAN tags, IPv6 with extension headers, TCP with all options.
 */
export const HEADER_BYTES_MAX: u32 = 240;

/** HEADER_BYTES_MAX and the longest virtio-net header, which precedes these bytes. */
export const HEADER_SCRATCH_SIZE: u32 = 260;

/** The smallest gso_size: the unit of IP fragments, and less than any protocol's useful segment. */
export const SEGMENT_SIZE_MIN: u32 = 8;

/**
 * Flows of a batch whose frames can be joined at the same time: with more flows, a batch of
 * BATCH_MAX frames has little to join.
 */
export const RUN_COUNT_MAX: u32 = 16;

/** Pieces of memory of all joined frames of a batch: several for each frame. */
export const RUN_PIECES_MAX: u32 = 512;

/** Leading bytes of a frame that are read to join it: two VLAN tags, IPv6, TCP with all options. */
export const RUN_HEADERS_SIZE: u32 = 128;

/** Misses in a row before a frame is dropped: fewer than there are window slots. */
export const MISS_STREAK_MAX: u32 = 512;

/**
 * Translations of one guest behind an IOMMU: more than the pages of the longest chain, so that no
 * translation evicts another of the same frame.
 */
export const IOTLB_ENTRIES_PER_FUNCTION_MAX: u32 = 4096;

/** Translations of all guests: three quarters of the table, so that probes stay short. */
export const IOTLB_ENTRIES_MAX: u32 = 49152;

/** Untranslated addresses that the firmware records in one turn. */
export const UNTRANSLATED_COUNT_MAX: u32 = 64;

/** Posted buffers of a ring that are looked at before frames arrive for them. */
export const LOOK_AHEAD_MAX: u32 = 128;

/** Descriptors that one such look reads, over all rings: about 20 µs. */
export const LOOK_AHEAD_STEPS_MAX: u32 = 1024;

/**
 * Misses in a row that the delivery of one frame may cause: a super-frame in buffers of 1536 bytes,
 * each in another window, and more.
 */
export const DELIVERY_MISS_STREAK_MAX: u32 = 64;

/**
 * Misses that one receive ring may cause in one batch: one window for each frame. The host limits
 * the time that the misses of all receive rings may take.
 */
export const DELIVERY_MISSES_MAX: u32 = 128;

/** Addresses that one VF may add to the MAC table: too few to fill it. */
export const LEARNED_PER_VF_MAX: u32 = 1024;

/** Addresses that one uplink may add if so configured: half of the table. */
export const LEARNED_PER_UPLINK_MAX: u32 = 65536;

/**
 * Times per second that an address may move between uplinks, seen in frames to groups: no host
 * moves so often, and a loop does it thousands of times.
 */
export const FLAPS_MAX: u32 = 50;

/** Sets of the MAC table that are swept in one go, at most once per batch: about 2 µs. */
export const SWEEP_SETS: u32 = 256;
