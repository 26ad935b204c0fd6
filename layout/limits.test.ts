import { describe, expect, test } from 'vitest';
import { LinearMemory } from '../src/os/linear-memory.ts';
import { loadFirmware, readFirmware } from '../src/processor/firmware.ts';
import { layoutHash } from '../src/processor/layout-hash.ts';
import * as counters from './counters.ts';
import * as limits from './limits.ts';
import * as memory from './memory.ts';
import * as ports from './port.ts';
import * as processor from './processor.ts';
import * as scheduler from './scheduler.ts';
import * as fdb from './switch.ts';
import * as virtio from './virtio.ts';
import * as virtqueue from './virtqueue.ts';

const { BATCH_MAX, FUNCTION_COUNT_MAX, PORT_COUNT_MAX, RING_COUNT_MAX, PIECE_COUNT_MAX } = limits;

type Area = readonly [name: string, base: number, sizeBytes: number];

/** What each private area has to hold, in address order. */
const PRIVATE_AREAS: readonly Area[] = [
  ['registers', memory.REGISTERS_BASE, processor.REGISTER_REQUEST_COUNT + 4],
  ['batch', memory.BATCH_BASE, memory.BATCH_RECORD_SIZE],
  [
    'untranslated list',
    memory.UNTRANSLATED_LIST_BASE,
    limits.UNTRANSLATED_COUNT_MAX * memory.UNTRANSLATED_ENTRY_SIZE,
  ],
  ['segment scratch', memory.SEGMENT_SCRATCH_BASE, limits.HEADER_SCRATCH_SIZE + 8],
  ['emit scratch', memory.EMIT_SCRATCH_BASE, virtio.NET_HEADER_SIZE_HASH],
  ['piece of a lent frame', memory.LENT_PIECE_BASE, 8],
  ['posted buffers', memory.POSTED_BASE, limits.POSTED_COUNT_MAX * 16],
  ['frames', memory.FRAMES_BASE, BATCH_MAX * 64],
  ['frame tags', memory.FRAME_TAGS_BASE, BATCH_MAX * 8],
  ['run links', memory.RUN_LINKS_BASE, BATCH_MAX * 4],
  ['frame addresses', memory.FRAME_ADDRESSES_BASE, BATCH_MAX * 16],
  ['runs', memory.RUNS_BASE, limits.RUN_COUNT_MAX * 64],
  ['pieces of runs', memory.RUN_PIECES_BASE, limits.RUN_PIECES_MAX * 8],
  ['target list', memory.TARGET_LIST_BASE, BATCH_MAX * 4],
  ['whole list', memory.WHOLE_LIST_BASE, BATCH_MAX * 4],
  ['flood list', memory.FLOOD_LIST_BASE, BATCH_MAX * 4],
  ['interrupt due list', memory.INTERRUPT_DUE_LIST_BASE, RING_COUNT_MAX * 4],
  ['signal list', memory.SIGNAL_LIST_BASE, RING_COUNT_MAX * 4],
  ['work list', memory.WORK_LIST_BASE, RING_COUNT_MAX * 4],
  ['request list', memory.REQUEST_LIST_BASE, RING_COUNT_MAX * 4],
  ['port list', memory.PORT_LIST_BASE, PORT_COUNT_MAX * 4],
  ['fault list', memory.FAULT_LIST_BASE, RING_COUNT_MAX * 4],
  ['window table', memory.WINDOW_TABLE_BASE, memory.WINDOW_TABLE_COUNT * memory.WINDOW_ENTRY_SIZE],
  ['slot records', memory.WINDOW_SLOTS_BASE, memory.SLOT_COUNT_MAX * memory.SLOT_RECORD_SIZE],
  // One entry per known buffer and per step of the walk, and one for the buffer that ends the walk.
  [
    'gathered buffers',
    memory.GATHERED_BASE,
    (limits.POSTED_COUNT_MAX + limits.WALK_LENGTH_MAX + 1) * memory.GATHERED_ENTRY_SIZE,
  ],
  ['source pieces', memory.SOURCE_PIECES_BASE, PIECE_COUNT_MAX * 8],
  ['target pieces', memory.TARGET_PIECES_BASE, PIECE_COUNT_MAX * 8],
  ['ring views', memory.RING_VIEWS_BASE, RING_COUNT_MAX * virtqueue.RING_VIEW_SIZE],
  ['IOTLB', memory.IOTLB_BASE, memory.IOTLB_TABLE_COUNT * memory.IOTLB_ENTRY_SIZE],
  ['request', memory.REQUEST_BASE, memory.REQUEST_ANSWER + limits.ANSWER_SIZE_MAX],
  ['header scratch', memory.HEADER_SCRATCH_BASE, BATCH_MAX * limits.HEADER_SCRATCH_SIZE],
  ['recount', memory.RECOUNT_BASE, PORT_COUNT_MAX * memory.RECOUNT_ENTRY_SIZE],
  ['look places', memory.LOOK_PLACES_BASE, RING_COUNT_MAX * 4],
  ['schedule', memory.SCHEDULE_BASE, memory.SCHEDULE_SIZE],
  ['shares of a look', memory.LOOK_SHARES_BASE, limits.LOOK_SHARES_MAX * memory.LOOK_SHARE_SIZE],
  ['nodes', memory.NODES_BASE, limits.NODE_COUNT * memory.NODE_SIZE],
  ['links of rings', memory.RING_LINKS_BASE, RING_COUNT_MAX * 4],
  ['waits of rings', memory.RING_WAITS_BASE, RING_COUNT_MAX * memory.RING_WAIT_SIZE],
  ['idle list', memory.IDLE_LIST_BASE, FUNCTION_COUNT_MAX * 4],
  ['queues at uplinks', memory.UPLINK_QUEUES_BASE, PORT_COUNT_MAX * memory.UPLINK_QUEUE_SIZE],
  ['use of uplinks', memory.UPLINK_HAD_BASE, PORT_COUNT_MAX * FUNCTION_COUNT_MAX * 8],
];

const SHARED_AREAS: readonly Area[] = [
  [
    'processors',
    memory.SHARED_PROCESSORS,
    limits.PROCESSOR_COUNT_MAX * processor.PROCESSOR_RECORD_SIZE,
  ],
  ['ports', memory.SHARED_PORTS, PORT_COUNT_MAX * ports.PORT_RECORD_SIZE],
  ['VLANs', memory.SHARED_VLANS, PORT_COUNT_MAX * fdb.VLAN_SET_SIZE],
  ['functions', memory.SHARED_FUNCTIONS, FUNCTION_COUNT_MAX * ports.FUNCTION_RECORD_SIZE],
  [
    'owners of rings',
    memory.SHARED_RING_OWNERS,
    (RING_COUNT_MAX / limits.RING_BLOCK_SIZE) * ports.RING_OWNER_SIZE,
  ],
  ['rings', memory.SHARED_RINGS, RING_COUNT_MAX * virtqueue.RING_RECORD_SIZE],
  ['counters', memory.SHARED_COUNTERS, RING_COUNT_MAX * counters.COUNTER_RECORD_SIZE],
  ['flows', memory.SHARED_FLOWS, (ports.FLOW_RECORD_OF_NIC + 1) * ports.FLOW_RECORD_SIZE],
  ['MAC table', memory.SHARED_FDB, fdb.FDB_SET_COUNT * fdb.FDB_SET_SIZE],
  ['promises', memory.SHARED_PROMISES, limits.NODE_COUNT * scheduler.PROMISE_SIZE],
  ['accounts', memory.SHARED_ACCOUNTS, limits.NODE_COUNT * scheduler.ACCOUNT_SIZE],
];

function expectApart(areas: readonly Area[], end: number): void {
  areas.forEach(([name, base, sizeBytes], index) => {
    const [nextName, next] = areas[index + 1] ?? ['the end', end];
    expect(base + sizeBytes, `${name} runs into ${nextName}`).toBeLessThanOrEqual(next);
  });
}

describe('areas', () => {
  test('of the private memory do not overlap', () => {
    expect(memory.REGISTERS_BASE).toBeGreaterThan(memory.GUARD_SIZE);
    expectApart(PRIVATE_AREAS, memory.PRIVATE_END);
  });

  test('that are mapped separately begin and end at a page boundary, whatever the page size', () => {
    const LARGEST_PAGE = 0x10000;
    const { GUARD_SIZE, PRIVATE_END, SHARED_BASE, SHARED_SIZE } = memory;
    for (const at of [GUARD_SIZE, PRIVATE_END, SHARED_BASE, SHARED_BASE + SHARED_SIZE]) {
      expect(at % LARGEST_PAGE).toBe(0);
    }
    expect(memory.PIN_CELL_SIZE % LARGEST_PAGE).toBe(0);
  });

  test('of the private memory are all listed here', () => {
    const bases = Object.entries(memory).filter(
      ([name, value]) =>
        name.endsWith('_BASE') && value >= memory.REGISTERS_BASE && value < memory.PRIVATE_END,
    );
    const listed = PRIVATE_AREAS.map(([, base]) => base);
    expect(bases.map(([, value]) => value).sort((a, b) => a - b)).toEqual(listed);
  });

  test('of the shared state do not overlap', () => {
    expectApart(SHARED_AREAS, memory.SHARED_SIZE);
  });

  test('of the linear memory do not overlap, and leave room to align the pins', () => {
    const { SLOT_SIZE, SLOT_COUNT_MAX, HUGE_PAGE_SIZE } = memory;
    expectApart(
      [
        ['private', memory.REGISTERS_BASE, memory.PRIVATE_END - memory.REGISTERS_BASE],
        ['shared', memory.SHARED_BASE, memory.SHARED_SIZE],
        ['pins', memory.PINS_BASE, memory.PINS_SIZE],
        ['slots', memory.SLOTS_BASE, SLOT_COUNT_MAX * SLOT_SIZE + HUGE_PAGE_SIZE],
      ],
      2 ** 32,
    );
  });
});

describe('relations', () => {
  test('the linear memory holds as many slots as fit', () => {
    const room = 2 ** 32 - memory.SLOTS_BASE - memory.HUGE_PAGE_SIZE;
    expect(memory.SLOT_COUNT_MAX).toBe(Math.floor(room / memory.SLOT_SIZE));
    expect(memory.SLOT_SIZE).toBe(2 ** memory.SLOT_SHIFT);
    expect(memory.SLOT_SIZE % memory.HUGE_PAGE_SIZE).toBe(0);
    expect(memory.PINS_BASE % memory.HUGE_PAGE_SIZE).toBe(0);
    expect(memory.SLOTS_BASE % memory.HUGE_PAGE_SIZE).toBe(0);
    expect(memory.PINS_SIZE % memory.PIN_CELL_SIZE).toBe(0);
    expect(memory.HUGE_PAGE_SIZE % memory.PIN_CELL_SIZE).toBe(0);
  });

  test('a probe of the window table terminates: the table has more entries than there are slots', () => {
    expect(memory.WINDOW_TABLE_COUNT).toBeGreaterThanOrEqual(2 * memory.SLOT_COUNT_MAX);
    expect(memory.WINDOW_TABLE_COUNT).toBe(2 ** memory.WINDOW_TABLE_BITS);
    expect(limits.MISS_STREAK_MAX).toBeLessThan(memory.SLOT_COUNT_MAX);
  });

  test('a probe of the IOTLB terminates, and no frame evicts its own translations', () => {
    expect(memory.IOTLB_TABLE_COUNT).toBe(2 ** memory.IOTLB_TABLE_BITS);
    expect(limits.IOTLB_ENTRIES_MAX).toBeLessThanOrEqual((memory.IOTLB_TABLE_COUNT * 3) / 4);
    // Each descriptor of the longest walk, and the pages of the largest frame.
    const pages = limits.WALK_LENGTH_MAX + Math.ceil(limits.FRAME_SIZE_MAX / 4096);
    expect(limits.IOTLB_ENTRIES_PER_FUNCTION_MAX).toBeGreaterThan(pages);
    expect(3 * FUNCTION_COUNT_MAX, 'level and function in a tag').toBeLessThan(2 ** 12);
    expect(FUNCTION_COUNT_MAX, 'the function in the key of a window').toBeLessThan(
      memory.WINDOW_BEHIND_IOMMU,
    );
  });

  test('ring numbers come in blocks, and the control queue follows the last queue', () => {
    expect(limits.CONTROL_QUEUE, 'behind the last queue').toBe(2 * limits.QUEUE_PAIRS_MAX);
    expect(limits.RING_BLOCK_SIZE).toBe(2 ** limits.RING_BLOCK_SHIFT);
    expect(RING_COUNT_MAX % limits.RING_BLOCK_SIZE).toBe(0);
    expect(ports.NO_PORT).toBeGreaterThanOrEqual(PORT_COUNT_MAX);
  });

  test('a request: the addresses of its answer and its bytes fit their areas', () => {
    const { REQUEST_ADDRESSES, REQUEST_ANSWER, REQUEST_BYTES } = memory;
    expect(REQUEST_ADDRESSES + limits.ANSWER_SIZE_MAX * 8).toBe(REQUEST_BYTES);
    expect(REQUEST_BYTES + limits.REQUEST_SIZE_MAX).toBe(REQUEST_ANSWER);
    expect(2 * limits.REQUEST_LENGTH_MAX).toBeLessThan(PIECE_COUNT_MAX);
  });

  test('the longest chain fits in the piece table, and the longest ring in the pins', () => {
    expect(PIECE_COUNT_MAX).toBeGreaterThanOrEqual(2 * limits.CHAIN_LENGTH_MAX);
    expect(limits.PIECE_BUDGET).toBeLessThan(PIECE_COUNT_MAX);
    const partSize = limits.QUEUE_SIZE_MAX * virtqueue.DESCRIPTOR_SIZE;
    expect(partSize).toBeLessThan(memory.PINS_SIZE);
  });

  test('frames: a virtio-net header and the leading bytes fit in the header scratch', () => {
    expect(limits.FRAME_SIZE_MAX).toBe(65535 + 14 + 4);
    expect(limits.FRAME_SIZE_MIN).toBe(14);
    expect(virtio.NET_HEADER_SIZE).toBe(virtio.NET_HEADER_NUM_BUFFERS + 2);
    const { HEADER_BYTES_MAX, HEADER_SCRATCH_SIZE } = limits;
    expect(HEADER_BYTES_MAX + virtio.NET_HEADER_SIZE_HASH).toBe(HEADER_SCRATCH_SIZE);
    expect(HEADER_BYTES_MAX).toBeGreaterThanOrEqual(14 + 4 + 40 + 4);
  });

  test('GRO reads enough of a frame for all its headers, and no more than the scratch holds', () => {
    expect(limits.RUN_HEADERS_SIZE).toBeGreaterThanOrEqual(14 + 2 * 4 + 40 + 60);
    expect(limits.RUN_HEADERS_SIZE).toBeLessThanOrEqual(limits.HEADER_BYTES_MAX);
    expect(limits.RUN_PIECES_MAX).toBeGreaterThanOrEqual(BATCH_MAX * 2);
  });

  test('records are multiples of a cache line, or divide one', () => {
    expect(virtqueue.RING_RECORD_SIZE % 64).toBe(0);
    expect(ports.PORT_RECORD_SIZE % 64).toBe(0);
    expect(processor.PROCESSOR_RECORD_SIZE % 64).toBe(0);
    expect(fdb.FDB_SET_SIZE).toBe(64);
    expect(64 % memory.WINDOW_ENTRY_SIZE).toBe(0);
    expect(ports.PORT_RECEIVE_QUEUES + limits.QUEUE_PAIRS_MAX).toBeLessThanOrEqual(
      ports.PORT_LEARNED,
    );
    expect(ports.PORT_LEARNED_COUNT).toBe(ports.PORT_LEARNED + 1);
    expect(ports.PORT_LEARNED + 8).toBeLessThanOrEqual(ports.PORT_UNLEARNED);
    expect(ports.PORT_UNLEARNED + 8).toBeLessThanOrEqual(ports.PORT_RECORD_SIZE);
  });

  test('a flow record holds the queue table and the Toeplitz table of each nibble', () => {
    expect(ports.FLOW_RECORD_OF_NIC).toBe(PORT_COUNT_MAX);
    expect(ports.FLOW_UNCLASSIFIED + 4).toBeLessThanOrEqual(ports.FLOW_QUEUES);
    expect(ports.FLOW_QUEUES + virtio.RSS_TABLE_LENGTH_MAX).toBeLessThanOrEqual(
      ports.FLOW_TOEPLITZ,
    );
    const end = ports.FLOW_TOEPLITZ + ports.FLOW_NIBBLES * ports.FLOW_NIBBLE_SIZE;
    expect(end).toBeLessThanOrEqual(ports.FLOW_RECORD_SIZE);
    expect(ports.RECEIVE_BY_TABLE).toBeGreaterThan(limits.QUEUE_PAIRS_MAX);
    expect((ports.FLOW_NIBBLES / 2 - 1) * 8 + 7 + 32, 'windows of the key').toBeLessThanOrEqual(
      virtio.RSS_KEY_SIZE * 8,
    );
  });

  test('the MAC table: keys and sets fit their fields, and no VF can fill it alone', () => {
    const entries = fdb.FDB_SET_COUNT * fdb.FDB_WAYS;
    expect(fdb.FDB_STAMPS + fdb.FDB_WAYS * 4).toBeLessThanOrEqual(fdb.FDB_FAR);
    expect(fdb.FDB_FAR + 8).toBeLessThanOrEqual(fdb.FDB_FLAPS);
    expect(fdb.FDB_FLAPS + fdb.FDB_WAYS * 2).toBeLessThanOrEqual(fdb.FDB_SET_SIZE);
    expect(limits.FLAPS_MAX, 'a flap word has 8 bits for it').toBeLessThan(256);
    expect(limits.LEARNED_PER_VF_MAX).toBeLessThan(entries / 100);
    expect(limits.LEARNED_PER_UPLINK_MAX).toBe(entries / 2);
    expect(PORT_COUNT_MAX, 'a key has room for the port + 1').toBeLessThan(2 ** fdb.FDB_PORT_BITS);
    expect(fdb.FDB_SET_COUNT, 'a VLAN and a MAC: 60 bits').toBe(2 ** (60 - fdb.FDB_TAG_BITS));
    expect(fdb.FDB_TAG_BITS + fdb.FDB_PORT_BITS).toBe(fdb.FDB_DISTANCE_SHIFT);
    const distances = 2 ** fdb.FDB_DISTANCE_BITS;
    expect(fdb.FDB_DISTANCE_SHIFT + fdb.FDB_DISTANCE_BITS).toBeLessThan(fdb.FDB_STATIC_BIT);
    expect(fdb.FDB_DISTANCE_MAX).toBeLessThan(distances);
    // Whichever addresses the VFs have, there is room for all of them.
    expect(distances * fdb.FDB_WAYS).toBeGreaterThanOrEqual(PORT_COUNT_MAX);
    expect(fdb.FDB_SET_COUNT % limits.SWEEP_SETS, 'a pass ends').toBe(0);
    expect(fdb.FDB_MULTIPLIER_LOW % 2, 'only odd numbers can be divided by').toBe(1);
    expect(fdb.FDB_MULTIPLIER_HIGH).toBeLessThan(2 ** 28);
  });

  test('every counter, drop reason and ring fault has its own word', () => {
    expect(counters.COUNTER_RECORD_SIZE).toBe(counters.COUNTER_COUNT * 8);
    const numbers = (constants: object, prefix: RegExp): number[] =>
      Object.entries(constants)
        .filter(([name]) => prefix.test(name))
        .map(([, number]) => number)
        .sort((a, b) => a - b);
    const plain = numbers(counters, /^COUNTER_(?!RECORD_SIZE|COUNT$|DROPS|FAULT_REASONS)/);
    const drops = numbers(counters, /^DROP_/);
    const faults = numbers(virtqueue, /^RING_FAULT_(?!NONE)/);
    expect(plain).toEqual(plain.map((_, index) => index));
    expect(drops).toEqual(drops.map((_, index) => index));
    expect(faults).toEqual(faults.map((_, index) => index + 1));
    const { COUNTER_DROPS, COUNTER_FAULT_REASONS } = counters;
    expect(plain.length).toBeLessThanOrEqual(COUNTER_DROPS);
    expect(COUNTER_DROPS + drops.length).toBeLessThanOrEqual(COUNTER_FAULT_REASONS);
    expect(COUNTER_FAULT_REASONS + faults.length).toBeLessThanOrEqual(counters.COUNTER_COUNT);
  });
});

describe('layout hash', () => {
  test('is 31 bits and the same each time', () => {
    expect(layoutHash()).toBe(layoutHash());
    expect(layoutHash()).toBeGreaterThan(0);
    expect(layoutHash()).toBeLessThan(2 ** 31);
  });

  test('matches the one in the built firmware', () => {
    const firmware = loadFirmware(readFirmware(), new LinearMemory(2 ** 32));
    expect(firmware.layoutHash.value).toBe(layoutHash());
  });
});
