// Named limits. Each says where it comes from; their relations are asserted in limits.test.ts.

/**
 * Functions of one NIC, of all kinds: 256 VMs with a VF, a disk, a vsock and one more each. The
 * number names a guest's memory, in the keys of windows and translations.
 */
export const FUNCTION_COUNT_MAX: u32 = 1024;

/** Ports of the switch: VFs and uplinks. The number is an 8-bit port in the MAC table. */
export const PORT_COUNT_MAX: u32 = 256;

/**
 * Queue pairs of one VF: what the offload and RSS work plans for, and more than most guests use.
 */
export const QUEUE_PAIRS_MAX: u32 = 16;

/**
 * The control queue's place among the rings of its VF: behind a receive and a transmit queue for
 * each pair. Its virtqueue number depends on what is negotiated; its ring number must not.
 */
export const CONTROL_QUEUE: u32 = 32;

/** Ring numbers of one NIC: those of 256 VMs with a VF, a disk and a vsock, and some. */
export const RING_COUNT_MAX: u32 = 32768;

/** Ring numbers are handed out in blocks of these: a table says whose each block is. */
export const RING_BLOCK_SIZE: u32 = 4;
export const RING_BLOCK_SHIFT: u32 = 2;

/** Bytes of a request that are looked at: more than the largest we know, a table of addresses. */
export const REQUEST_SIZE_MAX: u32 = 4096;

/** Descriptors of a request's chain: Linux sends at most 8. */
export const REQUEST_LENGTH_MAX: u32 = 64;

/** Bytes of an answer: the ack and the largest result behind it. */
export const ANSWER_SIZE_MAX: u32 = 16;

/** Entries of a split virtqueue (virtio 1.3, 2.7: the queue size is at most 32768). */
export const QUEUE_SIZE_MAX: u32 = 32768;

/**
 * Descriptors that one chain may have. Linux sends at most MAX_SKB_FRAGS + 2; 1024 is the largest
 * queue of QEMU, so no driver there can build a longer one. It bounds the walk against cycles.
 */
export const CHAIN_LENGTH_MAX: u32 = 1024;

/** Network processors (worker threads) of one NIC. */
export const PROCESSOR_COUNT_MAX: u32 = 16;

/**
 * Looks at a lock that another processor holds before this one lets it have the CPU: some 0.1 ms,
 * more than most deliveries take.
 */
export const LOCK_SPINS_MAX: u32 = 10_000;

/**
 * Frames taken from one ring in one go: enough to overlap cache misses and to share what a look at
 * a ring costs, few enough to stay fair (some 5 µs of small frames).
 */
export const BATCH_MAX: u32 = 128;

/** What a frame costs, and what eight bytes of it cost: nanoseconds, about. */
export const FRAME_COST: u32 = 25;
export const BYTES_COST_SHIFT: u32 = 3;

/**
 * What each further copy of a frame costs, one for everybody or one that is cut up: nanoseconds,
 * about. Unlike the first it is made for a ring of its own, or with headers of its own.
 */
export const COPY_COST: u32 = 100;
/** Four bytes of such a copy: it finds its target in no cache. */
export const COPY_BYTES_SHIFT: u32 = 2;
/** One descriptor of a chain that is walked. */
export const WALK_STEP_COST: u32 = 4;

/**
 * A batch takes no further frame for everybody once its copies cost this much (a quarter of a
 * millisecond). A single frame that costs more goes to some of the ports in each batch.
 */
export const FLOOD_COST_MAX: u32 = 250_000;

/** What a window costs that the host has to open, about: as much as a whole turn. */
export const MISS_COST: u32 = 14_000;

/** After batches of this cost a turn ends, and the next one goes on with the round. */
export const TURN_COST_MAX: u32 = 10_000;

/** A ring that has cost less in a round may have its turn before the next one, … */
export const DETOUR_COST_MAX: u32 = 1000;

/** … unless it has more than this to send. */
export const DETOUR_SLOTS_MAX: u32 = 32;

/** Rings that are looked at for that before each turn: some 0.3 µs. */
export const DETOURS_MAX: u32 = 32;

/** Fewer frames than these are delivered in one step, unless they are more than STEP_BYTES. */
export const STEP_FRAMES_MIN: u32 = 32;

/** Of large frames as many make a step: some 5 µs. */
export const STEP_BYTES: u32 = 48 * 1024;

/**
 * Descriptors read for one frame, over all buffers that it takes: two of the longest chains.
 * Without it a ring of long chains that hold next to nothing would cost millions of steps a frame.
 */
export const WALK_LENGTH_MAX: u32 = 2048;

/**
 * Of that, what every frame may cost of its receivers' buffers: honest guests post pages, and no
 * frame takes more of those.
 */
export const WALK_STEPS_PER_FRAME: u32 = 64;

/**
 * What all frames of a batch may cost beyond that. With 255 receivers that post chains as long as
 * they can, it is gone after 64 of them; who posts ordinary buffers never notices.
 */
export const WALK_STEPS_PER_BATCH: u32 = 65536;

/**
 * What each segment of a super-frame adds to that: a chain of header and pages, as guests post
 * them.
 */
export const WALK_STEPS_PER_SEGMENT: u32 = 8;

/**
 * Buffers of a ring that one delivery knows without a closer look: what eight super-frames take in
 * pages, and some.
 */
export const POSTED_COUNT_MAX: u32 = 256;

/** Segments that one super-frame may become: 64 KiB in the smallest that Linux's TCP sends. */
export const SEGMENTS_PER_FRAME_MAX: u32 = 2048;

/**
 * Pieces (guest memory that is contiguous in a window) of one batch: behind a batch
 * that is just below PIECE_BUDGET, a chain of CHAIN_LENGTH_MAX descriptors where every one
 * crosses a window boundary still fits.
 */
export const PIECE_COUNT_MAX: u32 = 2304;

/**
 * A batch takes no further frame once it holds this many pieces: the cost of one turn of a ring.
 */
export const PIECE_BUDGET: u32 = 256;

/** Every 2 KiB of a frame cost as much as a piece: eight super-frames are a batch. */
export const LENGTH_COST_SHIFT: u32 = 11;

/** Every 256 bytes, while others have questions: some 64 KiB are a batch. */
export const LENGTH_COST_SHIFT_SHORT: u32 = 8;

/** Turns for which one question lets more be expected: the rest of its own, and 64 more. */
export const QUESTION_TURNS: u32 = 65;

/** Destination, source and EtherType. */
export const FRAME_SIZE_MIN: u32 = 14;

/** A 64 KiB IP packet (the largest super-frame), its Ethernet header and a VLAN tag. */
export const FRAME_SIZE_MAX: u32 = 65553;

/**
 * Leading bytes of a scattered frame that are copied to scratch, so that headers can be read in one
 * piece: two VLAN tags, IPv6 with extension headers, TCP with all options.
 */
export const HEADER_BYTES_MAX: u32 = 240;

/** Those, and the longest virtio-net header before them. */
export const HEADER_SCRATCH_SIZE: u32 = 260;

/** The smallest gso_size: the unit of IP fragments, and less than any protocol's useful segment. */
export const SEGMENT_SIZE_MIN: u32 = 8;

/**
 * Flows of a batch that frames are joined of at once: with more, a batch of BATCH_MAX frames has
 * little to join.
 */
export const RUN_COUNT_MAX: u32 = 16;

/** Pieces of memory that all joined frames of a batch may lie in: several for each frame. */
export const RUN_PIECES_MAX: u32 = 512;

/** Bytes of a frame that are looked at to join it: two VLAN tags, IPv6, TCP with all options. */
export const RUN_HEADERS_SIZE: u32 = 128;

/**
 * Misses in a row that one frame may cause before it is dropped: below the number of window slots.
 */
export const MISS_STREAK_MAX: u32 = 512;

/**
 * Translations of one guest behind an IOMMU: more than the pages of the longest chain, so that none
 * is pushed out by another of the same frame.
 */
export const IOTLB_ENTRIES_PER_FUNCTION_MAX: u32 = 4096;

/** Translations of all guests: three quarters of the table, so that probes stay short. */
export const IOTLB_ENTRIES_MAX: u32 = 49152;

/** Untranslated addresses that the firmware notes in one turn. */
export const UNTRANSLATED_COUNT_MAX: u32 = 64;

/** Posted buffers of a ring that the firmware looks at before frames come for them. */
export const LOOK_AHEAD_MAX: u32 = 128;

/** Descriptors that one such look reads, over all rings: some 20 µs. */
export const LOOK_AHEAD_STEPS_MAX: u32 = 1024;

/**
 * Misses in a row that the delivery of one frame may cause: a super-frame in buffers of 1536 bytes,
 * each in another window, and some.
 */
export const DELIVERY_MISS_STREAK_MAX: u32 = 64;

/**
 * Misses that one receive ring may cause in one batch: a window for each of its frames. What they
 * may cost in time, all receive rings together, the host decides.
 */
export const DELIVERY_MISSES_MAX: u32 = 128;

/** Addresses that one VF may teach the MAC table: far from enough to fill it. */
export const LEARNED_PER_VF_MAX: u32 = 1024;

/** Addresses that one uplink may teach it: half of the table, if it is configured so. */
export const LEARNED_PER_UPLINK_MAX: u32 = 65536;

/**
 * Times a second that an address may change between uplinks, by frames to groups: no host moves so
 * often, and a loop does it thousands of times.
 */
export const FLAPS_MAX: u32 = 50;

/** Sets of the MAC table that are swept in one go, at most once a batch: about 2 µs. */
export const SWEEP_SETS: u32 = 256;
