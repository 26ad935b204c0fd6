// The firmware alone: two guests that are nothing but memory, in the same thread.
//
//   guest 0 ── transmit ring ─▶ turn() ─▶ receive ring ── guest 1        and in the other direction
//
// Every descriptor keeps its buffer for ever, so a guest hands over what it got back by one store
// to its ring's index. Its ring never runs empty: the firmware would pause before it looks again.
// Almost all of the time measured is spent in the turn.

import { COUNTER_PACKETS, COUNTER_RECORD_SIZE } from '../../layout/counters.ts';
import { CONTROL_QUEUE, RING_BLOCK_SIZE } from '../../layout/limits.ts';
import {
  SHARED_BASE,
  SHARED_COUNTERS,
  SHARED_PORTS,
  SHARED_RING_OWNERS,
  SHARED_RINGS,
  SLOT_SIZE,
  SLOTS_BASE,
} from '../../layout/memory.ts';
import {
  PORT_FIRST_RING,
  PORT_RECEIVE_COUNT,
  PORT_RECORD_SIZE,
  RING_OWNER_PORT,
  RING_OWNER_SIZE,
} from '../../layout/port.ts';
import { INTERRUPT_ALL } from '../../layout/processor.ts';
import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import {
  AVAIL_F_NO_INTERRUPT,
  AVAIL_FLAGS,
  AVAIL_INDEX,
  AVAIL_RING,
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_FLAGS,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_SIZE,
  RING_ENABLED,
  RING_F_MERGEABLE,
  RING_FLAGS,
  RING_HEADER_SIZE,
  RING_KIND_RECEIVE,
  RING_KIND_TRANSMIT,
  RING_RECORD_SIZE,
  RING_SIZE,
  RING_STATE,
  USED_INDEX,
} from '../../layout/virtqueue.ts';
import { LinearMemory } from '../../src/os/linear-memory.ts';
import { type Firmware, loadFirmware } from '../../src/processor/firmware.ts';

const guestCount = 2;
const ringSize = 1024;
/** Receive buffers that are posted beyond what arrives, so that no frame waits for one. */
const bufferReserve = 512;
/** Transmit buffers, used in turn: two batches, so that there is always one more. */
const framesInFlight = 256;

/** DPDK's buffer layout: frames start on a cache line, preceded by their headers. */
const bufferStride = 2432;
const bufferSize = 2048;
const frameOffset = 128;

// Layout of a guest's memory: its rings in the first window, then its buffers.
const guestSize = 4 * SLOT_SIZE;
const ringArea = 0x20000;
const availOffset = 0x8000;
const usedOffset = 0x10000;
const buffersOffset = 0x100000;

export class InProcessLoop {
  readonly #memory = new LinearMemory(2 ** 32);
  readonly #view = new DataView(this.#memory.buffer);
  readonly #firmware: Firmware;
  readonly #base: number;
  /** Of each ring, receive and transmit, by guest: what it has offered, and what it has back. */
  readonly #rings: { available: Uint16Array; used: Uint16Array; inFlight: number }[] = [];

  constructor(firmware: Uint8Array, frameBytes: number) {
    this.#firmware = loadFirmware(firmware, this.#memory);
    this.#firmware.configure(0, 1, 300);
    // Guest and firmware use the same address for a byte, so the same memory suits a firmware with
    // windows and one without.
    this.#base = Math.ceil(SLOTS_BASE / SLOT_SIZE) * SLOT_SIZE;
    for (let guest = 0; guest < guestCount; guest++) this.#addGuest(guest, frameBytes);
  }

  /** Moves frames for about that many seconds. Returns nanoseconds per frame. */
  run(seconds: number): number {
    const before = this.#received();
    const started = process.hrtime();
    let elapsed = 0;
    while (elapsed < seconds) {
      for (let turn = 0; turn < 1000; turn++) this.#turn();
      const [whole, rest] = process.hrtime(started);
      elapsed = whole + rest / 1e9;
    }
    const frames = this.#received() - before;
    if (frames <= 0) throw new Error('the firmware moved nothing');
    return (elapsed * 1e9) / frames;
  }

  #turn(): void {
    for (let i = 0; i < this.#rings.length; i++) {
      const { available, used, inFlight } = this.#rings[i]!;
      available[0] = used[0]! + inFlight;
    }
    this.#firmware.turn(INTERRUPT_ALL);
  }

  #received(): number {
    let frames = 0;
    for (let guest = 0; guest < guestCount; guest++) {
      const record = SHARED_COUNTERS + guest * CONTROL_QUEUE * COUNTER_RECORD_SIZE;
      const at = SHARED_BASE + record + COUNTER_PACKETS * 8;
      frames += Number(this.#view.getBigUint64(at, true));
    }
    return frames;
  }

  #addGuest(guest: number, frameBytes: number): void {
    const base = this.#base + guest * guestSize;
    for (let chunk = 0; chunk < guestSize / SLOT_SIZE; chunk++) {
      const window = base / SLOT_SIZE + chunk;
      const key = ((BigInt(guest) + 1n) << 48n) | BigInt(window);
      const slot = guest * (guestSize / SLOT_SIZE) + chunk;
      this.#firmware.insertWindow(key, 0, SLOT_SIZE, window * SLOT_SIZE, slot);
    }
    this.#addRing(guest, 0, bufferSize);
    this.#addRing(guest, 1, NET_HEADER_SIZE + frameBytes);
    for (let i = 0; i < framesInFlight; i++) this.#writeFrame(guest, i);
    const record = SHARED_BASE + SHARED_PORTS + guest * PORT_RECORD_SIZE;
    const first = guest * CONTROL_QUEUE;
    this.#view.setUint32(record + PORT_FIRST_RING, first, true);
    const owner = SHARED_BASE + SHARED_RING_OWNERS + (first / RING_BLOCK_SIZE) * RING_OWNER_SIZE;
    this.#view.setUint16(owner, guest, true);
    this.#view.setUint16(owner + RING_OWNER_PORT, guest, true);
    this.#view.setUint32(record + PORT_RECEIVE_COUNT, 1, true);
    this.#firmware.setPort(guest, 1);
    if (this.#firmware.setStatic(BigInt(macOf(guest)), guest) === 0) throw new Error('no room');
  }

  #addRing(guest: number, queue: number, bufferBytes: number): void {
    const view = this.#view;
    const number = guest * CONTROL_QUEUE + queue;
    const at = SHARED_BASE + SHARED_RINGS + number * RING_RECORD_SIZE;
    view.setUint32(at + RING_STATE, RING_ENABLED, true);
    view.setUint32(at + RING_SIZE, ringSize, true);
    view.setUint32(at + RING_HEADER_SIZE, NET_HEADER_SIZE, true);
    view.setUint32(at + RING_FLAGS, RING_F_MERGEABLE, true);
    const ring = this.#base + guest * guestSize + queue * ringArea;
    for (let i = 0; i < ringSize; i++) {
      const descriptor = ring + i * DESCRIPTOR_SIZE;
      view.setBigUint64(descriptor, BigInt(this.#bufferOf(guest, queue, i)), true);
      view.setUint32(descriptor + DESCRIPTOR_LENGTH, bufferBytes, true);
      view.setUint16(descriptor + DESCRIPTOR_FLAGS, queue === 0 ? DESCRIPTOR_F_WRITE : 0, true);
      view.setUint16(ring + availOffset + AVAIL_RING + i * 2, i, true);
    }
    view.setUint16(ring + availOffset + AVAIL_FLAGS, AVAIL_F_NO_INTERRUPT, true);
    this.#rings.push({
      available: new Uint16Array(this.#memory.buffer, ring + availOffset + AVAIL_INDEX, 1),
      used: new Uint16Array(this.#memory.buffer, ring + usedOffset + USED_INDEX, 1),
      inFlight: queue === 0 ? bufferReserve : framesInFlight,
    });
    const kind = queue === 0 ? RING_KIND_RECEIVE : RING_KIND_TRANSMIT;
    const parts = [ring, ring + availOffset, ring + usedOffset] as const;
    this.#firmware.attachRing(number, ...parts, RING_ENABLED, kind);
  }

  /** Where the virtio-net header of a buffer is: receive buffers come before transmit buffers. */
  #bufferOf(guest: number, queue: number, index: number): number {
    const place = queue === 0 ? index : ringSize + (index % framesInFlight);
    const buffers = this.#base + guest * guestSize + buffersOffset;
    return buffers + place * bufferStride + frameOffset - NET_HEADER_SIZE;
  }

  #writeFrame(guest: number, index: number): void {
    const frame = this.#bufferOf(guest, 1, index) + NET_HEADER_SIZE;
    const addresses = BigInt(macOf(1 - guest)) | (BigInt(macOf(guest)) << 48n);
    this.#view.setBigUint64(frame, addresses & 0xffff_ffff_ffff_ffffn, true);
    this.#view.setBigUint64(frame + 8, (addresses >> 64n) | (0x0008n << 32n), true);
  }
}

/** Locally administered, as the little-endian number that the firmware reads. */
function macOf(guest: number): number {
  return 0x02 + (guest + 1) * 2 ** 40;
}
