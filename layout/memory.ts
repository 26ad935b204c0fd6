// The firmware's linear memory. What is not listed is PROT_NONE: a stray access traps.
//
//   0        64 KiB     1 MiB          4 MiB             16 MiB + a        528 MiB + a        4 GiB
//   ┌────────┬──────────┬──────────────┬─────────────────┬─────────────────┬──────────────────────┐
//   │ guard  │ firmware │ private:     │ shared state    │ pins: the rings │ slots: windows onto  │
//   │ (null) │ statics  │ batch, views,│ (one memfd, the │ of the guests   │ guest memory, 4 MiB  │
//   │        │          │ window table │ same for all)   │                 │ each, evicted by age │
//   └────────┴──────────┴──────────────┴─────────────────┴─────────────────┴──────────────────────┘
//   a = what makes the absolute address of the pins a multiple of 2 MiB, so that huge pages fit too

export const GUARD_SIZE: u32 = 0x10000;

/** Private: a page of control words that the host and the firmware share within one processor. */
export const CONTROL_BASE: u32 = 0x100000;
/** Addresses that the firmware has no translation for (see CONTROL_UNTRANSLATED_COUNT). */
export const UNTRANSLATED_LIST_BASE: u32 = 0x100400;
/**
 * The headers of the segment in the making. The 4 bytes before it are free: a tag that is pushed
 * takes room there.
 */
export const SEGMENT_SCRATCH_BASE: u32 = 0x102800;
/** The virtio-net header of the frame in the making. */
export const EMIT_SCRATCH_BASE: u32 = 0x102c00;
/** The list of pieces of a lent frame that is in one piece. */
export const LENT_PIECE_BASE: u32 = 0x102c40;
/** What a delivery knows of the buffers of its ring. */
export const POSTED_BASE: u32 = 0x103000;
export const FRAMES_BASE: u32 = 0x104000;
/** Beside each frame of the batch: its VLAN. */
export const FRAME_TAGS_BASE: u32 = 0x106000;
/** The runs of frames that are being joined. */
export const RUNS_BASE: u32 = 0x108400;
/** Beside each frame of the batch: the next one of its run. */
export const RUN_LINKS_BASE: u32 = 0x106400;
/** Beside each frame of the batch: its MAC addresses, as u64 from its bytes 0 and 4 on. */
export const FRAME_ADDRESSES_BASE: u32 = 0x106800;
/** What joined frames consist of: (address u32, length u32) each. */
export const RUN_SEGMENTS_BASE: u32 = 0x109000;
export const TARGET_LIST_BASE: u32 = 0x110000;
/** 0, 1, 2 …: the list of a batch that goes to one target as a whole. */
export const WHOLE_LIST_BASE: u32 = 0x110800;
export const FLOOD_LIST_BASE: u32 = 0x111000;
export const INTERRUPT_DUE_LIST_BASE: u32 = 0x112000;
export const SIGNAL_LIST_BASE: u32 = 0x11a000;
export const TX_RING_LIST_BASE: u32 = 0x122000;
export const PORT_LIST_BASE: u32 = 0x126000;
export const FAULT_LIST_BASE: u32 = 0x128000;
export const WINDOW_TABLE_BASE: u32 = 0x130000;
export const WINDOW_SLOTS_BASE: u32 = 0x140000;
/** The buffers of the frame in the making: place, id, bytes (u32 each). */
export const GATHERED_BASE: u32 = 0x150000;
export const GATHERED_ENTRY_SIZE: u32 = 12;
export const SOURCE_SEGMENTS_BASE: u32 = 0x158000;
export const TARGET_SEGMENTS_BASE: u32 = 0x160000;
/** Tables of the Toeplitz hash: 36 × 256 × u32. */
export const FLOW_TABLE_BASE: u32 = 0x168000;
/** What each ring of the list of transmit rings has cost in this round. */
export const TX_RING_SPENT_BASE: u32 = 0x174000;
export const RING_VIEWS_BASE: u32 = 0x180000;
/** Translations of guests behind an IOMMU. */
export const IOTLB_BASE: u32 = 0x1c2000;
/** The command of a control queue that was taken last. */
export const COMMAND_BASE: u32 = 0x2c2000;
/** The leading bytes of each frame of the batch that lies in pieces. */
export const HEADER_SCRATCH_BASE: u32 = 0x2c4000;
/** The recount of learned addresses, port by port: see firmware/switch/sweep.ts. */
export const RECOUNT_BASE: u32 = 0x2cd000;
export const RECOUNT_ENTRY_SIZE: u32 = 16;
/** Beside each ring: where the last look at its buffers stopped, and where the ring stood then. */
export const LOOK_PLACES_BASE: u32 = 0x2ce000;
/** Beside each VF: how many transmit rings it has in the list, and how many are left out next. */
export const VF_ROUNDS_BASE: u32 = 0x2d6000;
/** A multiple of 64 KiB, the largest page of any system: what follows is PROT_NONE. */
export const PRIVATE_END: u32 = 0x2e0000;

export const SHARED_BASE: u32 = 0x400000;
export const SHARED_SIZE: u32 = 0xa00000;
/** Offsets in the shared state. */
export const SHARED_PROCESSORS: u32 = 0x1000;
export const SHARED_VFS: u32 = 0x2000;
/** A set of VLANs for each port. */
export const SHARED_VLANS: u32 = 0x20000;
export const SHARED_RINGS: u32 = 0x80000;
export const SHARED_COUNTERS: u32 = 0x104000;
export const SHARED_FLOWS: u32 = 0x530000;
/** The MAC table. */
export const SHARED_FDB: u32 = 0x800000;

/** Before alignment. */
export const PINS_BASE: u32 = 0x1000000;
export const PINS_SIZE: u32 = 0x20000000;
/** Pins are handed out in cells: as fine as small pages allow without a large bitmap. */
export const PIN_CELL_SIZE: u32 = 0x10000;
export const SLOTS_BASE: u32 = 0x21000000;
/**
 * A multiple of the 2 MiB huge page. Smaller slots waste less on guests whose buffers lie
 * scattered.
 */
export const SLOT_SIZE: u32 = 0x400000;
export const SLOT_SHIFT: u32 = 22;
export const HUGE_PAGE_SIZE: u32 = 0x200000;
/** (4 GiB − SLOTS_BASE − 2 MiB of alignment) / SLOT_SIZE, rounded down. */
export const SLOT_COUNT_MAX: u32 = 891;

// The window table: open addressing over 32-byte entries.
//
//   0      8     12     16     20     24       32
//   ┌──────┬─────┬──────┬──────┬──────┬────────┐   valid: chunk offsets low … low + size
//   │ key  │ low │ size │ base │ slot │ (free) │   linear address = base + chunk offset (mod 2^32)
//   └──────┴─────┴──────┴──────┴──────┴────────┘   key = (vf + 1) << 48 | guest address >>
// SLOT_SHIFT
export const WINDOW_ENTRY_SIZE: u32 = 32;
export const WINDOW_KEY: u32 = 0;
export const WINDOW_LOW: u32 = 8;
export const WINDOW_SIZE: u32 = 12;
export const WINDOW_BASE: u32 = 16;
export const WINDOW_SLOT: u32 = 20;
/** Twice the slots and more, so that probes stay short. */
export const WINDOW_TABLE_COUNT: u32 = 2048;
export const WINDOW_TABLE_BITS: u32 = 11;

// A slot: u64 key of its window (0 = free), u32 low, u32 stamp of its last use.
export const SLOT_RECORD_SIZE: u32 = 16;
export const SLOT_KEY: u32 = 0;
export const SLOT_LOW: u32 = 8;
export const SLOT_STAMP: u32 = 12;
/**
 * Added to the VF in the keys of windows of a guest behind an IOMMU. What such a guest names are
 * I/O virtual addresses: no look for one of those finds a window by chance.
 */
export const WINDOW_BEHIND_IOMMU: u32 = 0x200;

// The IOTLB: open addressing over 16-byte entries.
//
//   0      8          tag   = level << 62 | (vf + 1) << 52 | address >> shift of the level
//   ┌──────┬───────┐  value = guest address | IOTLB_READ | IOTLB_WRITE; neither: a refused address
//   │ tag  │ value │
//   └──────┴───────┘  levels 0, 1, 2: pages of 4 KiB, 2 MiB, 1 GiB
export const IOTLB_ENTRY_SIZE: u32 = 16;
export const IOTLB_VALUE: u32 = 8;
export const IOTLB_TABLE_COUNT: u32 = 65536;
export const IOTLB_TABLE_BITS: u32 = 16;
export const IOTLB_LEVEL_SHIFT: u32 = 62;
export const IOTLB_VF_SHIFT: u32 = 52;
export const IOTLB_SMALL_SHIFT: u32 = 12;
export const IOTLB_MIDDLE_SHIFT: u32 = 21;
export const IOTLB_LARGE_SHIFT: u32 = 30;
export const IOTLB_READ: u32 = 1;
export const IOTLB_WRITE: u32 = 2;

// An entry of the list of untranslated addresses: u32 vf, u32 wanted access, u64 address.
export const UNTRANSLATED_ENTRY_SIZE: u32 = 16;
export const UNTRANSLATED_ACCESS: u32 = 4;
export const UNTRANSLATED_ADDRESS: u32 = 8;
/** Beside the access: there is a translation, but it does not allow that. */
export const UNTRANSLATED_FORBIDDEN: u32 = 4;

// A command: its chain, where its answer goes, and its bytes.
//
//   0      4       8        12         16                    144
//   ┌──────┬───────┬────────┬──────────┬─────────────────────┬─────────────────────────┬────────┐
//   │ head │ slots │ length │ writable │ answer: u64 × 16    │ bytes: COMMAND_SIZE_MAX │ answer │
//   └──────┴───────┴────────┴──────────┴─────────────────────┴─────────────────────────┴────────┘
//   `answer` first: the guest address of each of its bytes; `writable` of them there are
export const COMMAND_HEAD: u32 = 0;
export const COMMAND_SLOTS: u32 = 4;
/** Of all readable bytes; those beyond COMMAND_SIZE_MAX are not kept. */
export const COMMAND_LENGTH: u32 = 8;
export const COMMAND_WRITABLE: u32 = 12;
export const COMMAND_ADDRESSES: u32 = 16;
export const COMMAND_BYTES: u32 = 144;
export const COMMAND_ANSWER: u32 = 4240;
