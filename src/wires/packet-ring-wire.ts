// A packet socket whose frames the kernel writes into a ring of slots (packet_mmap.rst, version
// TPACKET_V2), mapped after the pair's own memory. They go to guests from there.
//
//   0          PAIR_SIZE                1 MiB further
//   ┌──────────┬────────┬─────┬─────────┬────────┬─────┬─────────┬───
//   │ the pair │ slot 0 │  …  │ slot 14 │ slot 15│  …  │ slot 29 │ …
//   └──────────┴────────┴─────┴─────────┴────────┴─────┴─────────┴───
//                └► │ tpacket2_hdr, 32 │ sockaddr_ll, 20 │ … │ virtio-net header │ frame … │
//
// tp_status says who owns a slot: the kernel (0), us (USER), or the switch. Frames are sent as
// messages, which is the faster way to send.

import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { DESCRIPTOR_LENGTH, DESCRIPTOR_SIZE } from '../../layout/virtqueue.ts';
import { forgetError, PACKET_HEADER_SIZE, type PacketRing } from '../os/packet-socket.ts';
import type { LongFrameSettings } from './long-frames.ts';
import { MessageWire } from './message-wire.ts';
import {
  ARENA_END,
  BUFFER_SIZE,
  FRAME_ROOM,
  PACKET_GENERATION,
  PACKET_NEXT,
  PAIR_SIZE,
  type PairMemory,
  PORT_RING_SIZE,
  TX_DESCRIPTORS,
  WIRE_MALFORMED,
} from './port-memory.ts';
import { hasStrippedTag, restoreTag, VLAN_TAG_SIZE } from './stripped-tag.ts';
import type { FrameList, SharedMemory, Wire } from './wire.ts';

const BLOCK_SIZE = 0x100000;
const BLOCK_MASK = BLOCK_SIZE - 1;
/** The largest frame, and an odd number of cache lines: see FRAME_ROOM. */
const SLOT_SIZE = FRAME_ROOM;
/** Per socket, and for all sockets of an uplink: this is locked kernel memory. */
const BLOCK_COUNT_MAX = 32;
const BLOCK_COUNT_SUM_MAX = 64;
const RING = PAIR_SIZE;

export function packetRing(queues: number): PacketRing {
  const blockCount = Math.min(BLOCK_COUNT_MAX, Math.floor(BLOCK_COUNT_SUM_MAX / queues));
  return { blockSize: BLOCK_SIZE, blockCount, slotSize: SLOT_SIZE };
}

export function packetRingSize(queues: number): number {
  return BLOCK_SIZE * packetRing(queues).blockCount;
}

// struct tpacket2_hdr
const LENGTH = 4;
const SNAPPED = 8;
const FRAME_AT = 12;
const VLAN_TCI = 24;
const VLAN_TPID = 26;

const STATUS_KERNEL = 0;
const STATUS_USER = 1;
/** Neither the kernel's nor ready to be taken: the switch has the frame. */
const STATUS_LENT = 0x8000;

export interface PacketRingSettings {
  kind: 'packet-ring';
  fd: number;
  sizeBytes: number;
  /** Changes whenever the socket is a different one. */
  generation: number;
  long?: LongFrameSettings | undefined;
}

export class PacketRingWire implements Wire, SharedMemory {
  readonly fd: number;
  readonly shared = this;
  readonly arenaEnd = ARENA_END;
  readonly bufferSize = BUFFER_SIZE;
  /** Messages are sent before `send` returns, so no buffer is ever lent. */
  readonly lent = new Uint8Array(PORT_RING_SIZE);
  readonly #memory: PairMemory;
  readonly #messages: MessageWire;
  readonly #end: number;
  #next: number;

  constructor({ fd, sizeBytes, generation, long }: PacketRingSettings, memory: PairMemory) {
    this.fd = fd;
    this.#memory = memory;
    this.#messages = new MessageWire({ fd, headerSize: PACKET_HEADER_SIZE, long }, memory);
    this.#end = RING + sizeBytes;
    forgetError(fd);
    if (memory.words[PACKET_GENERATION / 4] !== generation) this.#begin(generation);
    this.#next = memory.words[PACKET_NEXT / 4] ?? 0;
  }

  /** The slot itself tells: no event is needed while the processor is awake. */
  get isReadable(): boolean {
    return (this.#status(this.#next) & STATUS_USER) !== 0;
  }

  set isReadable(_value: boolean) {}

  get roomFd(): number {
    return this.#messages.roomFd;
  }

  get lendableBytes(): number {
    return this.#messages.lendableBytes;
  }

  get failure(): string | null {
    return this.#messages.failure;
  }

  /** Frames stay where the kernel put them: nothing is written elsewhere. */
  receive(frames: FrameList, _from: number, _to: number, limit: number): void {
    while (frames.count < limit) {
      const slot = this.#next;
      const status = this.#status(slot);
      if ((status & STATUS_USER) === 0) break;
      this.#take(frames, slot, status);
      this.#next = this.#after(slot);
    }
    this.#memory.words[PACKET_NEXT / 4] = this.#next;
  }

  send(frames: FrameList): number {
    return this.#messages.send(frames);
  }

  reclaim(frames: FrameList): void {
    for (let i = 0; i < frames.count; i++) {
      const start = frames.starts[i] ?? 0;
      if (start >= RING) this.#setStatus(slotOf(start), STATUS_KERNEL);
    }
  }

  settle(): void {}

  /** Lends the frame in a slot to the switch. */
  #take(frames: FrameList, slot: number, status: number): void {
    const { view, counters } = this.#memory;
    const length = view.getUint32(slot + LENGTH, true);
    if (view.getUint32(slot + SNAPPED, true) !== length) {
      counters[WIRE_MALFORMED] = (counters[WIRE_MALFORMED] ?? 0) + 1;
      this.#setStatus(slot, STATUS_KERNEL);
      return;
    }
    this.#setStatus(slot, STATUS_LENT);
    // The kernel's header lacks the last field, which has no meaning here.
    const frame = slot + view.getUint16(slot + FRAME_AT, true);
    const given = frame - PACKET_HEADER_SIZE;
    const start = frame - NET_HEADER_SIZE;
    view.setUint32(start, view.getUint32(given));
    view.setUint32(start + 4, view.getUint32(given + 4));
    view.setUint16(start + 8, view.getUint16(given + 8));
    if (!hasStrippedTag(status)) {
      frames.add(start, NET_HEADER_SIZE + length, 0);
      return;
    }
    const place = start - VLAN_TAG_SIZE;
    const tci = view.getUint16(slot + VLAN_TCI, true);
    restoreTag(view, place, status, tci, view.getUint16(slot + VLAN_TPID, true));
    frames.add(place, NET_HEADER_SIZE + VLAN_TAG_SIZE + length, 0);
  }

  /** The socket is new: its ring is empty, and what was in the old one is gone. */
  #begin(generation: number): void {
    const { words, guestAddress } = this.#memory;
    for (let k = 0; k < PORT_RING_SIZE; k++) {
      const descriptor = (TX_DESCRIPTORS + k * DESCRIPTOR_SIZE) / 4;
      const start = (words[descriptor] ?? 0) - guestAddress;
      // Counted as too short, if the switch has not taken it yet.
      if (start >= RING) words[descriptor + DESCRIPTOR_LENGTH / 4] = 0;
    }
    words[PACKET_NEXT / 4] = RING;
    words[PACKET_GENERATION / 4] = generation;
  }

  #after(slot: number): number {
    const next = slot + SLOT_SIZE;
    if ((next & BLOCK_MASK) + SLOT_SIZE <= BLOCK_SIZE) return next;
    const block = (next & ~BLOCK_MASK) + BLOCK_SIZE;
    return block < this.#end ? block : RING;
  }

  #status(slot: number): number {
    return Atomics.load(this.#memory.words, slot / 4);
  }

  #setStatus(slot: number, status: number): void {
    Atomics.store(this.#memory.words, slot / 4, status);
  }
}

/** The slot that contains an offset. */
function slotOf(offset: number): number {
  const block = offset & ~BLOCK_MASK;
  return block + Math.floor((offset - block) / SLOT_SIZE) * SLOT_SIZE;
}
