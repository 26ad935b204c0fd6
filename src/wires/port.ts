// The driver inside the processor: the "guest" of an uplink's port, one per queue pair.
//
//   wire ─receive─► arena ─► transmit ring ─► firmware ─► receive ring ─► buffers ─send─► wire
//
// Descriptor k of a ring is always in entry k of its available ring: buffers complete in order, so
// an index is the whole state. The receive buffers are adjacent, so that a frame in several of them
// is contiguous memory (or two pieces, around the end).
import { performance } from 'node:perf_hooks';
import { NET_HEADER_NUM_BUFFERS, NET_HEADER_SIZE } from '../../layout/virtio.ts';
import {
  AVAIL_F_NO_INTERRUPT,
  AVAIL_FLAGS,
  AVAIL_INDEX,
  AVAIL_RING,
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_LENGTH,
  DESCRIPTOR_SIZE,
  USED_ELEMENT_SIZE,
  USED_INDEX,
  USED_LENT,
  USED_RING,
} from '../../layout/virtqueue.ts';
import {
  ARENA,
  ARENA_END,
  BUFFER_SIZE,
  BUFFERS,
  DRIVER_READY,
  DRIVER_RECLAIMED,
  DRIVER_RETURNED,
  DRIVER_TAKEN,
  type PairMemory,
  PORT_RING_SIZE,
  RX_AVAIL,
  RX_DESCRIPTORS,
  RX_USED,
  TX_AVAIL,
  TX_DESCRIPTORS,
  TX_USED,
  WIRE_BLOCKED,
  WIRE_LINK_LOST,
  WIRE_RECEIVED,
  WIRE_RECEIVED_BYTES,
  WIRE_REFUSED,
  WIRE_SENT,
  WIRE_SENT_BYTES,
  WIRE_TOO_LONG,
} from './port-memory.ts';
import { alignUp, BURST_MAX, FrameList, type SharedMemory, type Wire } from './wire.ts';

/** After the address and the length of a descriptor (virtio 1.3, 2.7.5). */
const DESCRIPTOR_FLAGS = 12;
/** A piece of a lent frame: linear address and length, u32 each. */
const PIECE_SIZE = 8;
const MASK = PORT_RING_SIZE - 1;
/** Destination, source, EtherType and one VLAN tag, which an MTU does not count. */
const LINK_HEADER_SIZE_MAX = 18;

export class Port {
  readonly wire: Wire;
  /** The wire did not accept everything: it waits until it is writable. */
  isBlocked = false;
  readonly #memory: PairMemory;
  readonly #shared: SharedMemory | undefined;
  readonly #bufferSize: number;
  readonly #arenaEnd: number;
  readonly #frameSizeMax: number;
  readonly #received = new FrameList();
  readonly #sending = new FrameList();
  /** Number of receive buffers that each frame being sent occupies. */
  readonly #buffers = new Uint32Array(BURST_MAX);
  #cursor = ARENA;
  #txAvail: number;
  #rxAvail: number;
  /**
   * Position up to which the used receive ring was taken, and up to which buffers were reposted.
   */
  #taken: number;
  #returned: number;
  /** Position up to which the used transmit ring was returned to the wire. */
  #reclaimed: number;

  constructor(memory: PairMemory, wire: Wire, mtu: number) {
    this.#memory = memory;
    this.wire = wire;
    this.#shared = wire.shared;
    this.#bufferSize = wire.shared?.bufferSize ?? BUFFER_SIZE;
    this.#arenaEnd = wire.shared?.arenaEnd ?? ARENA_END;
    this.#frameSizeMax = mtu + LINK_HEADER_SIZE_MAX;
    if (memory.words[DRIVER_READY / 4] === 0) layOut(memory, this.#bufferSize);
    this.#txAvail = this.#half(TX_AVAIL + AVAIL_INDEX);
    this.#rxAvail = this.#half(RX_AVAIL + AVAIL_INDEX);
    this.#taken = memory.words[DRIVER_TAKEN / 4] ?? 0;
    this.#returned = memory.words[DRIVER_RETURNED / 4] ?? 0;
    this.#reclaimed = memory.words[DRIVER_RECLAIMED / 4] ?? 0;
    if (this.#outstanding() !== 0) this.#cursor = this.#arenaEnd; // their positions are not known
    this.endLoan(); // the memory belonged to another processor
  }

  /** Whether the port would have work if it were called. */
  get isBusy(): boolean {
    if (this.wire.failure !== null) return false;
    return this.wire.isReadable || (!this.isBlocked && this.#used() !== this.#taken);
  }

  /** Nothing is lent while frames wait, because a lent frame cannot wait behind them. */
  get lendableBytes(): number {
    const isWaiting = this.isBlocked || this.#used() !== this.#taken;
    if (isWaiting || this.wire.failure !== null) return 0;
    return this.wire.lendableBytes ?? 0;
  }

  /** Milliseconds until the wire wants to be called; Infinity if never. */
  get sleepMilliseconds(): number {
    const { wakeAt } = this.wire;
    if (wakeAt === undefined || wakeAt === Infinity) return Infinity;
    return Math.max(0, wakeAt - performance.now());
  }

  /** From the wire to the transmit ring. Returns the number of frames taken. */
  pull(): number {
    const { wire } = this;
    // Nothing will report room, or it is time: ask again.
    if (wire.fd < 0 || this.sleepMilliseconds === 0) this.isBlocked = false;
    if (this.#shared !== undefined) this.#reclaim(this.#shared);
    if (!wire.isReadable || wire.failure !== null) return 0;
    const outstanding = this.#outstanding();
    if (outstanding === 0) this.#cursor = ARENA; // reuse the same memory while it is in the cache
    const frames = this.#received;
    frames.count = 0;
    const limit = Math.min(BURST_MAX, PORT_RING_SIZE - outstanding);
    wire.receive(frames, this.#cursor, this.#arenaEnd, limit);
    if (frames.count > 0) this.#publish(frames);
    return frames.count;
  }

  /** From the receive ring to the wire. Returns the number of frames settled. */
  push(): number {
    const { wire } = this;
    if (this.isBlocked || wire.failure !== null) return 0;
    if (this.#shared !== undefined) {
      this.#shared.settle();
      this.#repost();
    }
    let settled = 0;
    while (this.#used() !== this.#taken) {
      this.#collect();
      const frames = this.#sending;
      if (frames.count === 0) continue;
      const sent = wire.send(frames);
      this.#account(sent);
      settled += sent;
      if (sent === frames.count) continue;
      if (wire.failure === null) this.#block();
      break;
    }
    return settled;
  }

  /** Before sleeping: asks other processors to notify when they deliver. True if there is work. */
  arm(): boolean {
    Atomics.store(this.#memory.halves, (RX_AVAIL + AVAIL_FLAGS) / 2, 0);
    return this.isBusy;
  }

  disarm(): void {
    this.#memory.halves[(RX_AVAIL + AVAIL_FLAGS) / 2] = AVAIL_F_NO_INTERRUPT;
  }

  /** What is lent and not sent will not be sent: its sender gets it back. */
  endLoan(): void {
    const end = this.#used();
    for (let place = this.#taken; place !== end; place = (place + 1) & 0xffff) {
      const element = RX_USED + USED_RING + (place & MASK) * USED_ELEMENT_SIZE;
      const length = this.#memory.view.getUint32(element + 4, true);
      if (length >= USED_LENT) this.#memory.view.setUint32(element + 4, USED_LENT, true);
    }
  }

  /** The wire is lost: frames that wait for it will not be sent. */
  discard(): void {
    while (this.#used() !== this.#taken) {
      this.#collect();
      this.#count(WIRE_LINK_LOST, this.#sending.count);
      for (let i = 0; i < this.#sending.count; i++) this.#take(this.#buffers[i] ?? 0);
    }
    this.#repostTo(this.#taken);
  }

  #publish(frames: FrameList): void {
    const { view, halves } = this.#memory;
    let bytes = 0;
    for (let i = 0; i < frames.count; i++) {
      const start = frames.starts[i] ?? 0;
      const length = frames.lengths[i] ?? 0;
      const descriptor = TX_DESCRIPTORS + ((this.#txAvail + i) & MASK) * DESCRIPTOR_SIZE;
      view.setUint32(descriptor, this.#memory.guestAddress + start, true);
      view.setUint32(descriptor + DESCRIPTOR_LENGTH, length, true);
      if (start < this.#arenaEnd) this.#cursor = alignUp(start + length);
      bytes += length - NET_HEADER_SIZE;
    }
    this.#txAvail = (this.#txAvail + frames.count) & 0xffff;
    Atomics.store(halves, (TX_AVAIL + AVAIL_INDEX) / 2, this.#txAvail);
    this.#count(WIRE_RECEIVED, frames.count);
    this.#count(WIRE_RECEIVED_BYTES, bytes);
  }

  /** Returns received frames that the switch is done with to the wire that owns their memory. */
  #reclaim(shared: SharedMemory): void {
    const { words, guestAddress } = this.#memory;
    const end = this.#half(TX_USED + USED_INDEX);
    if (end === this.#reclaimed) return;
    const frames = this.#received;
    while (this.#reclaimed !== end) {
      frames.count = 0;
      while (this.#reclaimed !== end && frames.count < BURST_MAX) {
        const descriptor = TX_DESCRIPTORS + (this.#reclaimed & MASK) * DESCRIPTOR_SIZE;
        frames.starts[frames.count] = (words[descriptor / 4] ?? 0) - guestAddress;
        frames.count += 1;
        this.#reclaimed = (this.#reclaimed + 1) & 0xffff;
      }
      shared.reclaim(frames);
    }
    words[DRIVER_RECLAIMED / 4] = end;
  }

  /**
   * Lists used frames up to the first that is too long; at the front, such frames are returned at
   * once.
   */
  #collect(): void {
    const { view } = this.#memory;
    const frames = this.#sending;
    frames.count = 0;
    let place = this.#taken;
    let left = (this.#used() - place) & 0xffff;
    while (left > 0 && frames.count < BURST_MAX) {
      const start = BUFFERS + (place & MASK) * this.#bufferSize;
      const wanted = view.getUint16(start + NET_HEADER_NUM_BUFFERS, true);
      const buffers = Math.min(Math.max(wanted, 1), left);
      const used = this.#lengthOf(place, buffers);
      const pieces = used > USED_LENT ? (used - USED_LENT - NET_HEADER_SIZE) / PIECE_SIZE : 0;
      const length = pieces === 0 ? used : NET_HEADER_SIZE + this.#lentBytes(start, pieces);
      const isBack = used === USED_LENT;
      if (isBack || this.#isTooLong(start, length)) {
        if (frames.count > 0) return;
        this.#count(isBack ? WIRE_REFUSED : WIRE_TOO_LONG, 1);
        this.#take(buffers);
        this.#repost();
      } else {
        const toEnd = BUFFERS + PORT_RING_SIZE * this.#bufferSize - start;
        const whole = pieces > 0 ? length : Math.min(length, toEnd);
        this.#buffers[frames.count] = buffers;
        frames.add(start, whole, length - whole);
        frames.pieces[frames.count - 1] = pieces;
      }
      place = (place + buffers) & 0xffff;
      left -= buffers;
    }
  }

  #lengthOf(place: number, buffers: number): number {
    const { view } = this.#memory;
    let length = 0;
    for (let i = 0; i < buffers; i++) {
      const element = RX_USED + USED_RING + ((place + i) & MASK) * USED_ELEMENT_SIZE;
      length += view.getUint32(element + 4, true);
    }
    return length;
  }

  /** Total length of the pieces of a lent frame. */
  #lentBytes(start: number, pieces: number): number {
    let bytes = 0;
    for (let i = 0; i < pieces; i++) {
      const piece = start + NET_HEADER_SIZE + i * PIECE_SIZE;
      bytes += this.#memory.words[piece / 4 + 1] ?? 0;
    }
    return bytes;
  }

  /** A super-frame is cut by its receiver; any other frame must fit the MTU. */
  #isTooLong(start: number, length: number): boolean {
    if (length - NET_HEADER_SIZE <= this.#frameSizeMax) return false;
    return this.#memory.bytes[start + 1] === 0; // gso_type
  }

  #account(sent: number): void {
    const frames = this.#sending;
    let bytes = 0;
    for (let i = 0; i < sent; i++) {
      bytes += (frames.lengths[i] ?? 0) + (frames.wrapped[i] ?? 0) - NET_HEADER_SIZE;
      this.#take(this.#buffers[i] ?? 0);
    }
    this.#repost();
    this.#count(WIRE_SENT, sent);
    this.#count(WIRE_SENT_BYTES, bytes);
  }

  #take(buffers: number): void {
    this.#taken = (this.#taken + buffers) & 0xffff;
    this.#memory.words[DRIVER_TAKEN / 4] = this.#taken;
  }

  /** Reposts the oldest buffers, up to the first that the kernel may still read. */
  #repost(): void {
    let end = this.#taken;
    if (this.#shared !== undefined) {
      const { lent } = this.#shared;
      for (end = this.#returned; end !== this.#taken; end = (end + 1) & 0xffff) {
        if (lent[end & MASK] !== 0) break;
      }
    }
    this.#repostTo(end);
  }

  #repostTo(end: number): void {
    const buffers = (end - this.#returned) & 0xffff;
    if (buffers === 0) return;
    this.#returned = end;
    this.#rxAvail = (this.#rxAvail + buffers) & 0xffff;
    this.#memory.words[DRIVER_RETURNED / 4] = end;
    Atomics.store(this.#memory.halves, (RX_AVAIL + AVAIL_INDEX) / 2, this.#rxAvail);
  }

  #block(): void {
    this.isBlocked = true;
    this.#count(WIRE_BLOCKED, 1);
  }

  #outstanding(): number {
    return (this.#txAvail - this.#half(TX_USED + USED_INDEX)) & 0xffff;
  }

  #used(): number {
    return this.#half(RX_USED + USED_INDEX);
  }

  #half(offset: number): number {
    return Atomics.load(this.#memory.halves, offset / 2);
  }

  #count(counter: number, amount: number): void {
    const { counters } = this.#memory;
    counters[counter] = (counters[counter] ?? 0) + amount;
  }
}

/** The rings as they always are: only indices and the transmit descriptors' contents change. */
function layOut({ view, words, guestAddress }: PairMemory, bufferSize: number): void {
  for (let k = 0; k < PORT_RING_SIZE; k++) {
    const descriptor = RX_DESCRIPTORS + k * DESCRIPTOR_SIZE;
    view.setUint32(descriptor, guestAddress + BUFFERS + k * bufferSize, true);
    view.setUint32(descriptor + DESCRIPTOR_LENGTH, bufferSize, true);
    view.setUint16(descriptor + DESCRIPTOR_FLAGS, DESCRIPTOR_F_WRITE, true);
    view.setUint16(RX_AVAIL + AVAIL_RING + k * 2, k, true);
    view.setUint16(TX_AVAIL + AVAIL_RING + k * 2, k, true);
  }
  for (const ring of [RX_AVAIL, TX_AVAIL]) {
    view.setUint16(ring + AVAIL_FLAGS, AVAIL_F_NO_INTERRUPT, true);
  }
  view.setUint16(RX_AVAIL + AVAIL_INDEX, PORT_RING_SIZE, true);
  words[DRIVER_READY / 4] = 1;
}
