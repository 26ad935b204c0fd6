// AF_XDP: the kernel writes frames into the port's memory and reads them there. The whole memory is
// the UMEM, in chunks of 4 KiB, so an address of the kernel's is an offset of ours:
//
//   STAGING   ARENA        XDP_CHUNKS                      BUFFERS
//   ┌─────────┬────────────┬───────────────────────────────┬──────────────────────────┐
//   │ 4 rings │ frames of  │ 768 chunks: fill ring ─►      │ 1024 receive buffers     │
//   │         │ several    │ receive ring ─► the port's    │ of 4 KiB: transmit ring  │
//   │         │ chunks     │ transmit ring ─► fill ring    │ ─► completion ring       │
//   └─────────┴────────────┴───────────────────────────────┴──────────────────────────┘
//
// The kernel leaves 256 bytes before each frame; the virtio-net header goes there.

import { readSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { EAGAIN, EBUSY, EINTR, ENETDOWN, ENOBUFS, ENOMEM, ENXIO } from '../os/constants.ts';
import { errorName } from '../os/system-error.ts';
import {
  wakeReceive,
  wakeTransmit,
  XDP_RING_FILE_OFFSETS,
  type XdpOffsets,
} from '../os/xdp-socket.ts';
import {
  ARENA_END,
  BUFFERS,
  FRAME_ROOM,
  PAIR_SIZE,
  type PairMemory,
  PORT_RING_SIZE,
  STAGING,
  STRUCTURES,
  WIRE_BLOCKED,
  WIRE_LINK_LOST,
  WIRE_MALFORMED,
  WIRE_SENT,
  WIRE_SENT_BYTES,
} from './port-memory.ts';
import { markUnfinished } from './unfinished-checksum.ts';
import type { FrameList, SharedMemory, Wire } from './wire.ts';
import { XdpRing } from './xdp-ring.ts';

export const XDP_CHUNK_SIZE = 4096;
/** Entries of each ring: more than there are chunks, and one per receive buffer. */
export const XDP_RING_SIZE = 1024;

const CHUNK_MASK = XDP_CHUNK_SIZE - 1;
const CHUNK_SHIFT = 12;
const MASK = XDP_RING_SIZE - 1;
const XDP_CHUNKS = 0x100000;
const CHUNK_COUNT = (ARENA_END - XDP_CHUNKS) / XDP_CHUNK_SIZE;
/** A ring's mapping has a header and 1024 entries of at most 16 bytes. */
const RING_ROOM = 0x10000;

// Struct xdp_desc in words: u64 address, u32 length, u32 options. Other rings have only the
// address.
const DESCRIPTOR_WORDS = 4;
const ADDRESS_WORDS = 2;
const LENGTH = 2;
const OPTIONS = 3;
/** The frame continues in the next descriptor. */
const XDP_PKT_CONTD = 1;

// State that must outlive a wire, since the kernel keeps using its buffers: the generation of the
// sockets (u32), which receive buffers the kernel has, and which chunks the port has. All other
// chunks are the kernel's.
const GENERATION = STRUCTURES;
const LENT = STRUCTURES + 0x1000;
const PORTS = STRUCTURES + 0x2000;

/** How soon to retry when the kernel accepts nothing: it cannot notify us. */
const RETRY_MILLISECONDS = 1;

export interface XdpWireSettings {
  kind: 'xdp';
  fd: number;
  offsets: XdpOffsets;
  /** Changes whenever the socket is a different one. */
  generation: number;
  isZeroCopy: boolean;
}

/**
 * The chunks that a socket gets at the start: all except those whose frames the port still has.
 * They do not change while no wire of the port is open.
 */
export function freeChunks(file: number, pair: number): number[] {
  const ports = new Uint8Array(CHUNK_COUNT);
  readSync(file, ports, 0, CHUNK_COUNT, pair * PAIR_SIZE + PORTS);
  const chunks = Array.from(ports, (_, chunk) => XDP_CHUNKS + chunk * XDP_CHUNK_SIZE);
  return chunks.filter((_, chunk) => ports[chunk] === 0);
}

export class XdpWire implements Wire, SharedMemory {
  readonly fd: number;
  readonly shared = this;
  readonly arenaEnd = XDP_CHUNKS;
  readonly bufferSize = XDP_CHUNK_SIZE;
  readonly lent: Uint8Array;
  failure: string | null = null;
  wakeAt = Infinity;
  readonly #memory: PairMemory;
  readonly #isZeroCopy: boolean;
  readonly #received: XdpRing;
  readonly #transmit: XdpRing;
  readonly #fill: XdpRing;
  readonly #completion: XdpRing;
  readonly #ports: Uint8Array;
  // Our sides of the rings; the kernel's are read from the rings.
  #receivedTo: number;
  #transmitTo: number;
  #fillTo: number;
  #completedTo: number;
  /** Where a frame of several chunks is assembled, and its bytes so far; −1 for none. */
  #partAt = -1;
  #partLength = 0;
  #isPartTooLong = false;

  constructor(settings: XdpWireSettings, memory: PairMemory) {
    const { fd, offsets } = settings;
    this.fd = fd;
    this.#memory = memory;
    this.#isZeroCopy = settings.isZeroCopy;
    const ring = (place: number, key: keyof XdpOffsets, entryWords: number) => {
      const source = { fd, fileOffset: XDP_RING_FILE_OFFSETS[key], offsets: offsets[key] };
      const size = offsets[key].entries + XDP_RING_SIZE * entryWords * 4;
      return new XdpRing(memory, STAGING + place * RING_ROOM, size, source);
    };
    this.#received = ring(0, 'receive', DESCRIPTOR_WORDS);
    this.#transmit = ring(1, 'transmit', DESCRIPTOR_WORDS);
    this.#fill = ring(2, 'fill', ADDRESS_WORDS);
    this.#completion = ring(3, 'completion', ADDRESS_WORDS);
    this.lent = memory.bytes.subarray(LENT, LENT + PORT_RING_SIZE);
    this.#ports = memory.bytes.subarray(PORTS, PORTS + CHUNK_COUNT);
    if (memory.words[GENERATION / 4] !== settings.generation) this.#begin(settings.generation);
    this.#receivedTo = this.#received.consumer;
    this.#transmitTo = this.#transmit.producer;
    this.#fillTo = this.#fill.producer;
    this.#completedTo = this.#completion.consumer;
  }

  /** The ring itself tells: no event is needed while the processor is awake. */
  get isReadable(): boolean {
    return this.#received.producer !== this.#receivedTo;
  }

  set isReadable(_value: boolean) {}

  receive(frames: FrameList, from: number, to: number, limit: number): void {
    const { words } = this.#memory;
    const end = this.#received.producer;
    const first = this.#received.entries;
    let next = this.#receivedTo;
    let at = from;
    while (next !== end && frames.count < limit) {
      const entry = first + (next & MASK) * DESCRIPTOR_WORDS;
      const address = words[entry] ?? 0;
      const length = words[entry + LENGTH] ?? 0;
      const isContinued = ((words[entry + OPTIONS] ?? 0) & XDP_PKT_CONTD) !== 0;
      // A frame is complete in the ring; without room for it, it stays there.
      if (isContinued && this.#partAt < 0 && at + FRAME_ROOM > to) break;
      next = (next + 1) | 0;
      if (isContinued || this.#partAt >= 0) {
        at = this.#join(frames, address, length, isContinued, at);
        continue;
      }
      const start = address - NET_HEADER_SIZE;
      this.#writeHeader(start, length);
      this.#ports[(address - XDP_CHUNKS) >>> CHUNK_SHIFT] = 1;
      frames.add(start, NET_HEADER_SIZE + length, 0);
    }
    this.#receivedTo = next;
    this.#received.consumer = next;
    this.#publishFill();
  }

  /** Never full: the ring has an entry for each receive buffer. */
  send(frames: FrameList): number {
    for (let i = 0; i < frames.count; i++) {
      const start = (frames.starts[i] ?? 0) + NET_HEADER_SIZE;
      const length = (frames.lengths[i] ?? 0) - NET_HEADER_SIZE;
      const wrapped = frames.wrapped[i] ?? 0;
      this.#describe(start, length, wrapped > 0);
      if (wrapped > 0) this.#describe(BUFFERS, wrapped, false);
    }
    this.#transmit.producer = this.#transmitTo;
    this.#wake();
    return frames.count;
  }

  reclaim(frames: FrameList): void {
    for (let i = 0; i < frames.count; i++) {
      const start = frames.starts[i] ?? 0;
      if (start >= XDP_CHUNKS) this.#offer(start & ~CHUNK_MASK);
    }
    this.#publishFill();
  }

  settle(): void {
    const end = this.#completion.producer;
    if (end !== this.#completedTo) {
      const { words } = this.#memory;
      const first = this.#completion.entries;
      for (let next = this.#completedTo; next !== end; next = (next + 1) | 0) {
        const address = words[first + (next & MASK) * ADDRESS_WORDS] ?? 0;
        this.lent[(address - BUFFERS) >>> CHUNK_SHIFT] = 0;
      }
      this.#completedTo = end;
      this.#completion.consumer = end;
    }
    if (this.wakeAt !== Infinity && performance.now() >= this.wakeAt) this.#wake();
  }

  /** Frames that the kernel has not taken are lost with the link. */
  close(): void {
    if (this.#isZeroCopy) return; // the card may be reading them
    const { words, counters } = this.#memory;
    const taken = this.#transmit.consumer;
    for (let next = taken; next !== this.#transmitTo; next = (next + 1) | 0) {
      const entry = this.#transmit.entries + (next & MASK) * DESCRIPTOR_WORDS;
      const isLast = ((words[entry + OPTIONS] ?? 0) & XDP_PKT_CONTD) === 0;
      const frame = isLast ? 1 : 0;
      counters[WIRE_SENT] = (counters[WIRE_SENT] ?? 0) - frame;
      counters[WIRE_SENT_BYTES] = (counters[WIRE_SENT_BYTES] ?? 0) - (words[entry + LENGTH] ?? 0);
      counters[WIRE_LINK_LOST] = (counters[WIRE_LINK_LOST] ?? 0) + frame;
      this.lent[((words[entry] ?? 0) - BUFFERS) >>> CHUNK_SHIFT] = 0;
    }
    this.#transmit.producer = taken;
  }

  /** New sockets: none has a buffer yet, and the kernel's chunks are those of `freeChunks`. */
  #begin(generation: number): void {
    this.lent.fill(0);
    this.#memory.words[GENERATION / 4] = generation;
  }

  /** Puts a chunk into the fill ring, which has room for all of them. */
  #offer(address: number): void {
    const entry = this.#fill.entries + (this.#fillTo & MASK) * ADDRESS_WORDS;
    this.#memory.words[entry] = address;
    this.#memory.words[entry + 1] = 0;
    this.#fillTo = (this.#fillTo + 1) | 0;
    this.#ports[(address - XDP_CHUNKS) >>> CHUNK_SHIFT] = 0;
  }

  #publishFill(): void {
    if (this.#fill.producer === this.#fillTo) return;
    this.#fill.producer = this.#fillTo;
    if (this.#fill.needsWakeup) wakeReceive(this.fd);
  }

  /** One descriptor per buffer of a frame. */
  #describe(start: number, length: number, goesOn: boolean): void {
    const { words } = this.#memory;
    let at = start;
    let left = length;
    while (left > 0) {
      const piece = Math.min(left, XDP_CHUNK_SIZE - (at & CHUNK_MASK));
      const entry = this.#transmit.entries + (this.#transmitTo & MASK) * DESCRIPTOR_WORDS;
      words[entry] = at;
      words[entry + 1] = 0;
      words[entry + LENGTH] = piece;
      words[entry + OPTIONS] = goesOn || piece < left ? XDP_PKT_CONTD : 0;
      this.lent[(at - BUFFERS) >>> CHUNK_SHIFT] = 1;
      this.#transmitTo = (this.#transmitTo + 1) | 0;
      at += piece;
      left -= piece;
    }
  }

  /** If the kernel takes frames only in calls, calls it until it has taken all or takes no more. */
  #wake(): void {
    this.wakeAt = Infinity;
    let taken = this.#transmit.consumer;
    while (taken !== this.#transmitTo && this.#transmit.needsWakeup) {
      const error = wakeTransmit(this.fd);
      const before = taken;
      taken = this.#transmit.consumer;
      if (taken !== before) continue;
      this.#judge(error);
      return;
    }
  }

  #judge(error: number): void {
    const isPassing = [0, EAGAIN, EBUSY, EINTR, ENOBUFS, ENOMEM, ENETDOWN, ENXIO].includes(error);
    if (!isPassing) {
      this.failure = `sending failed (${errorName(error)})`;
    } else if (!this.#isZeroCopy || error !== 0) {
      // The interface's queue is full, or it is down, which its watcher reports.
      const { counters } = this.#memory;
      counters[WIRE_BLOCKED] = (counters[WIRE_BLOCKED] ?? 0) + 1;
      this.wakeAt = performance.now() + RETRY_MILLISECONDS;
    }
  }

  /**
   * Appends a chunk to the frame that is being assembled at `at`. Returns where the next may start.
   */
  #join(
    frames: FrameList,
    address: number,
    length: number,
    isContinued: boolean,
    at: number,
  ): number {
    const { bytes, counters } = this.#memory;
    if (this.#partAt < 0) {
      this.#partAt = at;
      this.#partLength = NET_HEADER_SIZE;
      this.#isPartTooLong = false;
    }
    const place = this.#partAt + this.#partLength;
    if (this.#partLength + length > FRAME_ROOM) this.#isPartTooLong = true;
    else bytes.copyWithin(place, address, address + length);
    this.#partLength += length;
    this.#offer(address & ~CHUNK_MASK);
    if (isContinued) return at;
    const start = this.#partAt;
    this.#partAt = -1;
    if (this.#isPartTooLong) {
      counters[WIRE_MALFORMED] = (counters[WIRE_MALFORMED] ?? 0) + 1;
      return at;
    }
    this.#writeHeader(start, this.#partLength - NET_HEADER_SIZE);
    frames.add(start, this.#partLength, 0);
    return (start + this.#partLength + 63) & ~63;
  }

  /** A received frame is complete, except perhaps for its checksum. */
  #writeHeader(start: number, length: number): void {
    const { view } = this.#memory;
    view.setUint32(start, 0, true);
    view.setUint32(start + 4, 0, true);
    view.setUint32(start + 8, 0, true);
    if (!this.#isZeroCopy) markUnfinished(view, start, length);
  }
}

if (BUFFERS + PORT_RING_SIZE * XDP_CHUNK_SIZE > 0x800000 || PORT_RING_SIZE > XDP_RING_SIZE) {
  throw new Error('assertion: memory of an AF_XDP wire');
}
