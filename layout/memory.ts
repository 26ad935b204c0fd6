// The firmware's linear memory. Everything not listed is PROT_NONE: a stray access traps. Each area
// begins where the previous one ends; limits.test.ts lists what each has to hold.
//
//   0        64 KiB     1 MiB          ~3 MiB            16 MiB + a        528 MiB + a        4 GiB
//   ┌────────┬──────────┬──────────────┬─────────────────┬─────────────────┬──────────────────────┐
//   │ guard  │ firmware │ private:     │ shared state    │ pins: the rings │ slots: windows to    │
//   │ (null) │ statics  │ batch, views,│ (one memfd, the │ of the guests   │ guest memory, 4 MiB  │
//   │        │          │ window table │ same for all)   │                 │ each, evicted by age │
//   └────────┴──────────┴──────────────┴─────────────────┴─────────────────┴──────────────────────┘
//   a aligns the absolute address of the pins to 2 MiB, so that huge pages fit as well
import { COUNTER_RECORD_SIZE } from './counters.ts';
import {
  ANSWER_SIZE_MAX,
  BATCH_MAX,
  FUNCTION_COUNT_MAX,
  HEADER_SCRATCH_SIZE,
  LOOK_SHARES_MAX,
  NODE_COUNT,
  PIECE_COUNT_MAX,
  PORT_COUNT_MAX,
  POSTED_COUNT_MAX,
  PROCESSOR_COUNT_MAX,
  REQUEST_SIZE_MAX,
  RING_BLOCK_SHIFT,
  RING_COUNT_MAX,
  RUN_COUNT_MAX,
  RUN_PIECES_MAX,
  UNTRANSLATED_COUNT_MAX,
  WALK_LENGTH_MAX,
} from './limits.ts';
import {
  FLOW_RECORD_SIZE,
  FUNCTION_RECORD_SIZE,
  PORT_RECORD_SIZE,
  RING_OWNER_SIZE,
} from './port.ts';
import { PROCESSOR_RECORD_SIZE } from './processor.ts';
import { ACCOUNT_SIZE, PROMISE_SIZE } from './scheduler.ts';
import { FDB_SET_COUNT, FDB_SET_SIZE, VLAN_SET_SIZE } from './switch.ts';
import { RING_RECORD_SIZE, RING_VIEW_SIZE } from './virtqueue.ts';

const CACHE_LINE: u32 = 64;
/** The largest page size of any system. Areas that are mapped separately begin and end at it. */
const PAGE_SIZE_MAX: u32 = 0x10000;
export const HUGE_PAGE_SIZE: u32 = 0x200000;

export const GUARD_SIZE: u32 = PAGE_SIZE_MAX;
/** Room for the firmware compiler's static data: a few tables of constants. */
const STATICS_SIZE: u32 = 0x100000 - GUARD_SIZE;

/** Private: registers that the host and the firmware of one processor share. */
export const REGISTERS_BASE: u32 = GUARD_SIZE + STATICS_SIZE;
const REGISTERS_SIZE: u32 = 0x400;

/** The record of the batch, which stays while a batch waits: firmware/headers/batch.ts. */
export const BATCH_BASE: u32 = REGISTERS_BASE + REGISTERS_SIZE;
export const BATCH_RECORD_SIZE: u32 = 208;

// An entry of the list of untranslated addresses: u32 function, u32 wanted access, u64 address.
export const UNTRANSLATED_ENTRY_SIZE: u32 = 16;
export const UNTRANSLATED_ACCESS: u32 = 4;
export const UNTRANSLATED_ADDRESS: u32 = 8;
/** In addition to the access: a translation exists but does not allow it. */
export const UNTRANSLATED_FORBIDDEN: u32 = 4;
/** Addresses without a translation (see REGISTER_UNTRANSLATED_COUNT). */
export const UNTRANSLATED_LIST_BASE: u32 = BATCH_BASE + BATCH_RECORD_SIZE;
const UNTRANSLATED_LIST_SIZE: u32 = UNTRANSLATED_COUNT_MAX * UNTRANSLATED_ENTRY_SIZE;

/**
 * The headers of the segment being made. The cache line before it is free: an inserted tag moves
 * the header into it.
 */
export const SEGMENT_SCRATCH_BASE: u32 =
  UNTRANSLATED_LIST_BASE + UNTRANSLATED_LIST_SIZE + CACHE_LINE;
/** An IPv6 fragment header may be added. */
const SEGMENT_SCRATCH_SIZE: u32 = HEADER_SCRATCH_SIZE + CACHE_LINE;
/** The virtio-net header of the frame being delivered. */
export const EMIT_SCRATCH_BASE: u32 =
  (SEGMENT_SCRATCH_BASE + SEGMENT_SCRATCH_SIZE + CACHE_LINE - 1) & ~(CACHE_LINE - 1);
/** The list of pieces for a lent frame in one piece. */
export const LENT_PIECE_BASE: u32 = EMIT_SCRATCH_BASE + CACHE_LINE;

/** The posted buffers that a delivery knows. */
export const POSTED_BASE: u32 = LENT_PIECE_BASE + CACHE_LINE;
export const POSTED_RECORD_SIZE: u32 = 16;
export const FRAMES_BASE: u32 = POSTED_BASE + POSTED_COUNT_MAX * POSTED_RECORD_SIZE;
export const FRAME_RECORD_SIZE: u32 = 64;
/** For each frame of the batch: its VLAN tag. */
export const FRAME_TAGS_BASE: u32 = FRAMES_BASE + BATCH_MAX * FRAME_RECORD_SIZE;
export const FRAME_TAG_SIZE: u32 = 8;
/** For each frame of the batch: the index of the next one of its run (u32). */
export const RUN_LINKS_BASE: u32 = FRAME_TAGS_BASE + BATCH_MAX * FRAME_TAG_SIZE;
/** For each frame of the batch: its MAC addresses, as u64 from its bytes 0 and 4 on. */
export const FRAME_ADDRESSES_BASE: u32 = RUN_LINKS_BASE + BATCH_MAX * 4;
/** The runs of frames that are being joined. */
export const RUNS_BASE: u32 = FRAME_ADDRESSES_BASE + BATCH_MAX * 16;
export const RUN_RECORD_SIZE: u32 = 64;
/** The pieces of joined frames: (address u32, length u32) each. */
export const RUN_PIECES_BASE: u32 = RUNS_BASE + RUN_COUNT_MAX * RUN_RECORD_SIZE;
/** Lists of frame indexes (u32): the frames for one target, … */
export const TARGET_LIST_BASE: u32 = RUN_PIECES_BASE + RUN_PIECES_MAX * 8;
/** … 0, 1, 2 …, for a batch that goes to one target as a whole, … */
export const WHOLE_LIST_BASE: u32 = TARGET_LIST_BASE + BATCH_MAX * 4;
/** … and the flooded frames. */
export const FLOOD_LIST_BASE: u32 = WHOLE_LIST_BASE + BATCH_MAX * 4;

// Lists of ring numbers, or of port numbers: u32 each.
/** Rings whose guests may want an interrupt. */
export const INTERRUPT_DUE_LIST_BASE: u32 = FLOOD_LIST_BASE + BATCH_MAX * 4;
export const SIGNAL_LIST_BASE: u32 = INTERRUPT_DUE_LIST_BASE + RING_COUNT_MAX * 4;
/** The work list: the rings that turns visit. */
export const WORK_LIST_BASE: u32 = SIGNAL_LIST_BASE + RING_COUNT_MAX * 4;
export const REQUEST_LIST_BASE: u32 = WORK_LIST_BASE + RING_COUNT_MAX * 4;
export const PORT_LIST_BASE: u32 = REQUEST_LIST_BASE + RING_COUNT_MAX * 4;
export const FAULT_LIST_BASE: u32 = PORT_LIST_BASE + PORT_COUNT_MAX * 4;

export const WINDOW_TABLE_BASE: u32 = FAULT_LIST_BASE + RING_COUNT_MAX * 4;
export const WINDOW_ENTRY_SIZE: u32 = 32;
/** More than twice the number of slots, so that probes stay short. */
export const WINDOW_TABLE_BITS: u32 = 11;
export const WINDOW_TABLE_COUNT: u32 = 1 << WINDOW_TABLE_BITS;
export const WINDOW_SLOTS_BASE: u32 = WINDOW_TABLE_BASE + WINDOW_TABLE_COUNT * WINDOW_ENTRY_SIZE;
export const SLOT_RECORD_SIZE: u32 = 16;
/** For as many slots as the window table has entries; there are fewer. */
const WINDOW_SLOTS_SIZE: u32 = WINDOW_TABLE_COUNT * SLOT_RECORD_SIZE;

/**
 * The buffers of the frame being delivered: slot ahead, id, bytes (u32 each). One for each known
 * buffer and each step of the walk, and the buffer where the walk ends.
 */
export const GATHERED_BASE: u32 = WINDOW_SLOTS_BASE + WINDOW_SLOTS_SIZE;
export const GATHERED_ENTRY_SIZE: u32 = 12;
const GATHERED_SIZE: u32 = (POSTED_COUNT_MAX + WALK_LENGTH_MAX + 1) * GATHERED_ENTRY_SIZE;
export const SOURCE_PIECES_BASE: u32 =
  (GATHERED_BASE + GATHERED_SIZE + CACHE_LINE - 1) & ~(CACHE_LINE - 1);
export const TARGET_PIECES_BASE: u32 = SOURCE_PIECES_BASE + PIECE_COUNT_MAX * 8;

export const RING_VIEWS_BASE: u32 = TARGET_PIECES_BASE + PIECE_COUNT_MAX * 8;

/** Translations of guests behind an IOMMU. */
export const IOTLB_BASE: u32 = RING_VIEWS_BASE + RING_COUNT_MAX * RING_VIEW_SIZE;
export const IOTLB_ENTRY_SIZE: u32 = 16;
export const IOTLB_TABLE_BITS: u32 = 16;
export const IOTLB_TABLE_COUNT: u32 = 1 << IOTLB_TABLE_BITS;

/** The last request that was taken. */
export const REQUEST_BASE: u32 = IOTLB_BASE + IOTLB_TABLE_COUNT * IOTLB_ENTRY_SIZE;
//   0      4       8        12         16
//   ┌──────┬───────┬────────┬──────────┬─────────────────────┬─────────────────────────┬────────┐
//   │ head │ slots │ length │ writable │ addresses: u64 each │ bytes: REQUEST_SIZE_MAX │ answer │
//   └──────┴───────┴────────┴──────────┴─────────────────────┴─────────────────────────┴────────┘
//   addresses: the guest address of each byte of the answer; there are `writable` of them
export const REQUEST_HEAD: u32 = 0;
export const REQUEST_SLOTS: u32 = 4;
/** The number of readable bytes; those beyond REQUEST_SIZE_MAX are not kept. */
export const REQUEST_LENGTH: u32 = 8;
export const REQUEST_WRITABLE: u32 = 12;
export const REQUEST_ADDRESSES: u32 = 16;
export const REQUEST_BYTES: u32 = REQUEST_ADDRESSES + ANSWER_SIZE_MAX * 8;
export const REQUEST_ANSWER: u32 = REQUEST_BYTES + REQUEST_SIZE_MAX;

/** The leading bytes of each frame of the batch that is in several pieces. */
export const HEADER_SCRATCH_BASE: u32 =
  (REQUEST_BASE + REQUEST_ANSWER + ANSWER_SIZE_MAX + CACHE_LINE - 1) & ~(CACHE_LINE - 1);
/** The recount of learned addresses, one entry per port: see firmware/switch/sweep.ts. */
export const RECOUNT_BASE: u32 = HEADER_SCRATCH_BASE + BATCH_MAX * HEADER_SCRATCH_SIZE;
export const RECOUNT_ENTRY_SIZE: u32 = 16;
/** For each ring: where the last look at its buffers stopped, and the ring's position then. */
export const LOOK_PLACES_BASE: u32 = RECOUNT_BASE + PORT_COUNT_MAX * RECOUNT_ENTRY_SIZE;

// The schedule of this processor: firmware/scheduler.
export const SCHEDULE_BASE: u32 = LOOK_PLACES_BASE + RING_COUNT_MAX * 4;
export const SCHEDULE_SIZE: u32 = 320;
/** The batches that share the next look at the clock: firmware/scheduler/shared-look.ts. */
export const LOOK_SHARES_BASE: u32 = SCHEDULE_BASE + SCHEDULE_SIZE;
export const LOOK_SHARE_SIZE: u32 = 16;
/** Its view of each node. */
export const NODES_BASE: u32 = LOOK_SHARES_BASE + LOOK_SHARES_MAX * LOOK_SHARE_SIZE;
export const NODE_SIZE: u32 = 384;
/** For each ring of the work list: the next one of its function, in a circle (u32). */
export const RING_LINKS_BASE: u32 = NODES_BASE + NODE_COUNT * NODE_SIZE;
/** For each ring: whether its next frame waits for its receiver. */
export const RING_WAITS_BASE: u32 = RING_LINKS_BASE + RING_COUNT_MAX * 4;
export const RING_WAIT_SIZE: u32 = 64;
/** Functions that had nothing to send when they were looked at last (u32 each). */
export const IDLE_LIST_BASE: u32 = RING_WAITS_BASE + RING_COUNT_MAX * RING_WAIT_SIZE;
/** For each port that is an uplink: those that wait for it. */
export const UPLINK_QUEUES_BASE: u32 = IDLE_LIST_BASE + FUNCTION_COUNT_MAX * 4;
export const UPLINK_QUEUE_SIZE: u32 = 32;
/** For each port and each function: what the function has had of that uplink (f64). */
export const UPLINK_HAD_BASE: u32 = UPLINK_QUEUES_BASE + PORT_COUNT_MAX * UPLINK_QUEUE_SIZE;
const UPLINK_HAD_SIZE: u32 = PORT_COUNT_MAX * FUNCTION_COUNT_MAX * 8;
export const PRIVATE_END: u32 =
  (UPLINK_HAD_BASE + UPLINK_HAD_SIZE + PAGE_SIZE_MAX - 1) & ~(PAGE_SIZE_MAX - 1);

/** After a page that stays PROT_NONE. */
export const SHARED_BASE: u32 = PRIVATE_END + PAGE_SIZE_MAX;
/** Offsets in the shared state. Its first page is free. */
export const SHARED_PROCESSORS: u32 = 0x1000;
export const SHARED_PORTS: u32 = SHARED_PROCESSORS + PROCESSOR_COUNT_MAX * PROCESSOR_RECORD_SIZE;
/** A set of VLANs for each port. */
export const SHARED_VLANS: u32 = SHARED_PORTS + PORT_COUNT_MAX * PORT_RECORD_SIZE;
export const SHARED_FUNCTIONS: u32 = SHARED_VLANS + PORT_COUNT_MAX * VLAN_SET_SIZE;
/** The owner of each block of ring numbers. */
export const SHARED_RING_OWNERS: u32 = SHARED_FUNCTIONS + FUNCTION_COUNT_MAX * FUNCTION_RECORD_SIZE;
export const SHARED_RINGS: u32 =
  SHARED_RING_OWNERS + (RING_COUNT_MAX >> RING_BLOCK_SHIFT) * RING_OWNER_SIZE;
export const SHARED_COUNTERS: u32 = SHARED_RINGS + RING_COUNT_MAX * RING_RECORD_SIZE;
/** One for each port, and the NIC's own. */
export const SHARED_FLOWS: u32 = SHARED_COUNTERS + RING_COUNT_MAX * COUNTER_RECORD_SIZE;
/** The MAC table. */
export const SHARED_FDB: u32 = SHARED_FLOWS + (PORT_COUNT_MAX + 1) * FLOW_RECORD_SIZE;
/** What each node of the schedule is promised, and what it has had. */
export const SHARED_PROMISES: u32 = SHARED_FDB + FDB_SET_COUNT * FDB_SET_SIZE;
export const SHARED_ACCOUNTS: u32 = SHARED_PROMISES + NODE_COUNT * PROMISE_SIZE;
export const SHARED_SIZE: u32 =
  (SHARED_ACCOUNTS + NODE_COUNT * ACCOUNT_SIZE + PAGE_SIZE_MAX - 1) & ~(PAGE_SIZE_MAX - 1);

/** Before alignment; at least one page before it stays PROT_NONE. */
export const PINS_BASE: u32 = (SHARED_BASE + SHARED_SIZE + HUGE_PAGE_SIZE) & ~(HUGE_PAGE_SIZE - 1);
export const PINS_SIZE: u32 = 0x20000000;
/** Pins are allocated in cells, as small as possible without a large bitmap. */
export const PIN_CELL_SIZE: u32 = PAGE_SIZE_MAX;
export const SLOTS_BASE: u32 = PINS_BASE + PINS_SIZE;
/** A multiple of the 2 MiB huge page. Smaller slots waste less on guests with scattered buffers. */
export const SLOT_SHIFT: u32 = 22;
export const SLOT_SIZE: u32 = 1 << SLOT_SHIFT;
/** As many as fit below 4 GiB, however far the alignment moves the pins. */
export const SLOT_COUNT_MAX: u32 = (0xffffffff - SLOTS_BASE - HUGE_PAGE_SIZE + 1) >>> SLOT_SHIFT;

// The window table: open addressing over 32-byte entries.
//
//   0      8     12     16     20     24       32
//   ┌──────┬─────┬──────┬──────┬──────┬────────┐   valid: chunk offsets low … low + size
//   │ key  │ low │ size │ base │ slot │ (free) │   linear address = base + chunk offset (mod 2^32)
//   └──────┴─────┴──────┴──────┴──────┴────────┘   key = (function + 1) << 48 | guest address >> SLOT_SHIFT
export const WINDOW_KEY: u32 = 0;
export const WINDOW_LOW: u32 = 8;
export const WINDOW_SIZE: u32 = 12;
export const WINDOW_BASE: u32 = 16;
export const WINDOW_SLOT: u32 = 20;

// A slot: u64 key of its window (0 = free), u32 low, u32 stamp of its last use.
export const SLOT_KEY: u32 = 0;
export const SLOT_LOW: u32 = 8;
export const SLOT_STAMP: u32 = 12;
/**
 * Added to the function in the window keys of a guest behind an IOMMU. Such a guest uses I/O
 * virtual addresses, and a lookup of one of those must not find a window by chance.
 */
export const WINDOW_BEHIND_IOMMU: u32 = 0x800;

// The IOTLB: open addressing over 16-byte entries.
//
//   0      8          tag   = owner << 52 | address >> shift of the level
//   ┌──────┬───────┐  value = guest address | IOTLB_READ | IOTLB_WRITE; neither: a refused address
//   │ tag  │ value │
//   └──────┴───────┘  levels 0, 1, 2: pages of 4 KiB, 2 MiB, 1 GiB
//                   owner = level × FUNCTION_COUNT_MAX + function + 1
export const IOTLB_VALUE: u32 = 8;
export const IOTLB_OWNER_SHIFT: u32 = 52;
export const IOTLB_SMALL_SHIFT: u32 = 12;
export const IOTLB_MIDDLE_SHIFT: u32 = 21;
export const IOTLB_LARGE_SHIFT: u32 = 30;
export const IOTLB_READ: u32 = 1;
export const IOTLB_WRITE: u32 = 2;
