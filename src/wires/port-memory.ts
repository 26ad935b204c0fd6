// The memory of an uplink's port: one memfd shared by the driver here and the firmware, which sees
// it as a guest's memory. A queue pair has 8 MiB:
//
//   0         4K                     128K         256K        512K              4M              8M
//   ┌─────────┬──────────────────────┬────────────┬───────────┬─────────────────┬────────────────┐
//   │ driver  │ rings: descriptors,  │ structures │ staging   │ received        │ receive        │
//   │ words   │ available, used      │ for libc   │ of wires  │ frames          │ buffers        │
//   └─────────┴──────────────────────┴────────────┴───────────┴─────────────────┴────────────────┘
//
// Guest addresses are offsets into a pair's part of the file, PAIR_STRIDE apart from pair to pair.
// The frames and the buffers lie in one window each.

import { FRAME_SIZE_MAX } from '../../layout/limits.ts';

export const PAIR_SIZE = 0x800000;
/** Distance between the guest addresses of two pairs; memory that a wire adds follows its pair. */
export const PAIR_STRIDE = 0x4000000;

/** The most frames that wait here, in each direction. */
export const PORT_RING_SIZE = 1024;

/**
 * Counters of the driver at offset 0 (f64 each: exact to 2^53, and not allocated as a bigint would
 * be).
 */
export const WIRE_COUNTER_COUNT = 16;
export const WIRE_RECEIVED = 0;
export const WIRE_RECEIVED_BYTES = 1;
export const WIRE_SENT = 2;
export const WIRE_SENT_BYTES = 3;
/** Times that the network accepted no more frames, so that the ring had to wait. */
export const WIRE_BLOCKED = 4;
/** Frames that were not sent: longer than the MTU, refused by the kernel, or the link was lost. */
export const WIRE_TOO_LONG = 5;
export const WIRE_REFUSED = 6;
export const WIRE_LINK_LOST = 7;
/** Received, but not a frame: truncated, or longer than any frame. */
export const WIRE_MALFORMED = 8;
/** Done by a fault injector. */
export const WIRE_INJECTED = 9;

/**
 * u32 words: 1 once the rings are laid out; the driver's position in the used receive ring; the
 * position up to which its buffers have been reposted.
 */
export const DRIVER_READY = 0x100;
export const DRIVER_TAKEN = 0x104;
export const DRIVER_RETURNED = 0x120;
/** Position in the used transmit ring up to which a wire with its own memory has got it back. */
export const DRIVER_RECLAIMED = 0x124;

/**
 * u32 words of a stream wire, which must know its position when its processor is replaced: the
 * connection they belong to, the range read but not yet taken (offsets in the staging area), and
 * how many bytes of the first frame to be sent are gone.
 */
export const STREAM_CONNECTION = 0x108;
export const STREAM_HEAD = 0x10c;
export const STREAM_TAIL = 0x110;
export const STREAM_PARTIAL = 0x114;

/** u32 words of a packet socket's ring: the socket they belong to, and the next slot to check. */
export const PACKET_GENERATION = 0x128;
export const PACKET_NEXT = 0x12c;

/** The same for the ring that long frames are sent from. */
export const LONG_GENERATION = 0x130;
export const LONG_NEXT = 0x134;

export const TX_DESCRIPTORS = 0x1000;
export const TX_AVAIL = 0x5000;
export const TX_USED = 0x6000;
export const RX_DESCRIPTORS = 0x9000;
export const RX_AVAIL = 0xd000;
export const RX_USED = 0xe000;

export const STRUCTURES = 0x20000;
export const STAGING = 0x40000;
export const STAGING_SIZE = 0x40000;
export const ARENA = 0x80000;
export const ARENA_END = 0x400000;

export const BUFFERS = 0x400000;
/**
 * An odd number of cache lines, so that the first bytes of frames spread over the sets of a cache.
 */
export const BUFFER_SIZE = 63 * 64;

/** Room for the largest frame, its header and a stripped VLAN tag; also odd in cache lines. */
export const FRAME_ROOM = 1027 * 64;

/** The memory of one queue pair as the driver's thread sees it. */
export interface PairMemory {
  /** Absolute address of the pair's first byte, for libc. */
  readonly address: number;
  /** Linear address of the pair's first byte. */
  readonly start: number;
  /** Guest address of the pair's first byte. */
  readonly guestAddress: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly halves: Uint16Array;
  readonly words: Uint32Array;
  readonly counters: Float64Array;
}

/**
 * The memory of a pair in the linear memory at `base`: PAIR_SIZE bytes, plus what its wire has
 * added.
 */
export function pairMemory(
  buffer: ArrayBufferLike,
  base: number,
  { start, sizeBytes }: { start: number; sizeBytes: number },
  pair: number,
): PairMemory {
  return {
    address: base + start,
    start,
    guestAddress: pair * PAIR_STRIDE,
    bytes: new Uint8Array(buffer, start, sizeBytes),
    view: new DataView(buffer, start, sizeBytes),
    halves: new Uint16Array(buffer, start, sizeBytes / 2),
    words: new Uint32Array(buffer, start, sizeBytes / 4),
    counters: new Float64Array(buffer, start, WIRE_COUNTER_COUNT),
  };
}

if (BUFFERS + PORT_RING_SIZE * BUFFER_SIZE > PAIR_SIZE || FRAME_ROOM < FRAME_SIZE_MAX + 20) {
  throw new Error('assertion: port memory');
}
