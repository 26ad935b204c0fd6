import {
  AVAIL_F_NO_INTERRUPT,
  AVAIL_RING,
  DESCRIPTOR_F_INDIRECT,
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_SIZE,
  USED_ELEMENT_SIZE,
  USED_F_NO_NOTIFY,
  USED_RING,
} from '../../layout/virtqueue.ts';
import {
  type DriverQueue,
  type DriverQueueOptions,
  needsEvent,
  PIECES_MAX,
} from './driver-queue.ts';
import type { GuestMemory, Span } from './guest-memory.ts';

/**
 * The driver's side of a split virtqueue (virtio 1.3, 2.7). It keeps its own record of every chain
 * and trusts nothing that the device writes. The frame path does not allocate.
 *
 *   piece × n → commit (descriptors, avail entry) → publish (avail index) … popUsed → head, usedLength
 */
export class SplitQueue implements DriverQueue {
  readonly isPacked = false;
  readonly size: number;
  readonly memory: GuestMemory;
  readonly descriptors: Span;
  readonly avail: Span;
  readonly used: Span;
  readonly eventIndex: boolean;
  readonly inOrder: boolean;
  readonly anyOrder: boolean;
  /** The length that the device reported for the chain that `popUsed` returned. */
  usedLength = 0;
  availIndex: number;
  lastUsed: number;
  freeDescriptors: number;
  readonly #indirectEntriesMax: number;
  readonly #tables: (Span | undefined)[] = [];
  readonly #nextOf: Uint16Array;
  /** Descriptors of the chain with this head; 0 if the device does not have it. */
  readonly #chainLength: Uint16Array;
  /** Heads in flight, by their place in the available ring. */
  readonly #outstanding: Uint16Array;
  readonly #pieceAddress = new Float64Array(PIECES_MAX);
  readonly #pieceLength = new Uint32Array(PIECES_MAX);
  readonly #pieceFlags = new Uint16Array(PIECES_MAX);
  #pieces = 0;
  #freeHead = 0;
  #published: number;
  #unreturned = 0;

  constructor(memory: GuestMemory, options: DriverQueueOptions) {
    const { size } = options;
    this.memory = memory;
    this.size = size;
    this.descriptors = memory.allocate(size * DESCRIPTOR_SIZE, 16);
    this.avail = memory.allocate(AVAIL_RING + size * 2 + 2, 2);
    this.used = memory.allocate(USED_RING + size * USED_ELEMENT_SIZE + 2, 4);
    this.eventIndex = options.eventIndex === true;
    this.inOrder = options.inOrder === true;
    this.anyOrder = options.anyOrder === true && !this.inOrder;
    this.#indirectEntriesMax = options.indirectEntriesMax ?? 0;
    this.availIndex = (options.base ?? 0) & 0xffff;
    this.lastUsed = this.availIndex;
    this.#published = this.availIndex;
    this.freeDescriptors = size;
    this.#nextOf = new Uint16Array(size);
    this.#chainLength = new Uint16Array(size);
    this.#outstanding = new Uint16Array(size);
    for (let i = 0; i < size; i++) this.#nextOf[i] = (i + 1) % size;
    this.#writeIndex(this.avail, this.availIndex);
    this.#writeIndex(this.used, this.availIndex);
  }

  /**
   * The driver starts over, as after a reset: all chains are forgotten, both indexes are `base`.
   */
  reset(base = 0): void {
    this.availIndex = base;
    this.lastUsed = base;
    this.#published = base;
    this.freeDescriptors = this.size;
    this.#freeHead = 0;
    this.#unreturned = 0;
    this.#pieces = 0;
    this.#chainLength.fill(0);
    for (let i = 0; i < this.size; i++) this.#nextOf[i] = (i + 1) % this.size;
    this.#writeIndex(this.avail, base);
    this.#writeIndex(this.used, base);
  }

  /** Chains that the device has not returned yet. */
  get outstanding(): number {
    return this.#unreturned;
  }

  /** Whether a chain of `pieces` fits now. */
  hasRoom(pieces: number): boolean {
    const needed = pieces <= this.#indirectEntriesMax ? 1 : pieces;
    return this.freeDescriptors >= needed;
  }

  /** Adds a buffer to the chain that is being built. */
  piece(address: number, length: number, isWritable: boolean): void {
    this.#pieceAddress[this.#pieces] = address;
    this.#pieceLength[this.#pieces] = length;
    this.#pieceFlags[this.#pieces] = isWritable ? DESCRIPTOR_F_WRITE : 0;
    this.#pieces += 1;
  }

  /**
   * Writes the chain and its available entry; the device sees it at the next `publish`. Returns its
   * head.
   */
  commit(indirect = false): number {
    const head = this.#freeHead;
    if (indirect && this.#pieces <= this.#indirectEntriesMax) this.#writeIndirect(head);
    else this.#writeDirect(head);
    this.#offer(head);
    this.#pieces = 0;
    return head;
  }

  /** Shows the committed chains to the device. True if the device wants a kick for them. */
  publish(): boolean {
    const before = this.#published;
    this.#published = this.availIndex;
    // Atomic: a full fence before the device's event index or flag is read (2.7.13.3 and .4).
    Atomics.store(this.memory.u16, (this.avail.offset >> 1) + 1, this.availIndex);
    if (before === this.availIndex) return false;
    if (!this.eventIndex) return (this.#read16(this.used.offset) & USED_F_NO_NOTIFY) === 0;
    const event = this.#read16(this.used.offset + USED_RING + this.size * USED_ELEMENT_SIZE);
    return needsEvent(event, this.availIndex, before);
  }

  get base(): number {
    return this.lastUsed;
  }

  get usedIndex(): number {
    return Atomics.load(this.memory.u16, (this.used.offset >> 1) + 1);
  }

  get hasUsed(): boolean {
    return this.usedIndex !== this.lastUsed;
  }

  /** The head of the next returned chain, or −1. */
  popUsed(): number {
    if (!this.hasUsed) return -1;
    const { view } = this.memory;
    const place = this.lastUsed & (this.size - 1);
    const element = this.used.offset + USED_RING + place * USED_ELEMENT_SIZE;
    const head = view.getUint32(element, true);
    this.usedLength = view.getUint32(element + 4, true);
    this.#checkReturned(head, place);
    this.#release(head);
    this.lastUsed = (this.lastUsed + 1) & 0xffff;
    return head;
  }

  /** Requests a call at the next used chain. True if there is already one. */
  armCall(): boolean {
    const { u16 } = this.memory;
    if (this.eventIndex) {
      Atomics.store(u16, (this.avail.offset + AVAIL_RING + this.size * 2) >> 1, this.lastUsed);
    } else {
      Atomics.store(u16, this.avail.offset >> 1, 0);
    }
    return this.hasUsed;
  }

  /** Requests no calls. */
  suppressCall(): void {
    const behind = (this.lastUsed - 1) & 0xffff;
    if (this.eventIndex) this.setUsedEvent(behind);
    else Atomics.store(this.memory.u16, this.avail.offset >> 1, AVAIL_F_NO_INTERRUPT);
  }

  setUsedEvent(index: number): void {
    Atomics.store(this.memory.u16, (this.avail.offset + AVAIL_RING + this.size * 2) >> 1, index);
  }

  skipUsed(): void {
    this.lastUsed = this.usedIndex;
  }

  // From here on: what a hostile driver needs to write to the ring freely.

  /** Overwrites a descriptor in the table, or in an indirect table at `table`. */
  writeDescriptor(
    index: number,
    fields: { address: bigint; length: number; flags: number; next?: number },
    table: Span = this.descriptors,
  ): void {
    const at = table.offset + index * DESCRIPTOR_SIZE;
    const { view } = this.memory;
    view.setBigUint64(at, BigInt.asUintN(64, fields.address), true);
    view.setUint32(at + 8, fields.length, true);
    view.setUint16(at + 12, fields.flags, true);
    view.setUint16(at + 14, fields.next ?? 0, true);
  }

  /** Puts any head into the available ring, `count` times, without recording it. */
  offerRaw(head: number, count = 1): void {
    for (let i = 0; i < count; i++) {
      const place = this.availIndex & (this.size - 1);
      this.memory.view.setUint16(this.avail.offset + AVAIL_RING + place * 2, head, true);
      this.availIndex = (this.availIndex + 1) & 0xffff;
    }
  }

  /** Takes a used element without checking it. */
  popRaw(): { head: number; length: number } | null {
    if (!this.hasUsed) return null;
    const place = this.lastUsed & (this.size - 1);
    const element = this.used.offset + USED_RING + place * USED_ELEMENT_SIZE;
    this.lastUsed = (this.lastUsed + 1) & 0xffff;
    const { view } = this.memory;
    return { head: view.getUint32(element, true), length: view.getUint32(element + 4, true) };
  }

  #writeDirect(head: number): void {
    const count = this.#pieces;
    if (count > this.freeDescriptors) throw new Error('assertion: no free descriptors');
    let index = head;
    for (let i = 0; i < count; i++) {
      const next = this.#nextOf[index] as number;
      const flags = this.#pieceFlags[i] as number;
      const isLast = i === count - 1;
      this.#write(this.descriptors.offset + index * DESCRIPTOR_SIZE, i, flags, isLast ? -1 : next);
      index = next;
    }
    this.#freeHead = index;
    this.freeDescriptors -= count;
    this.#chainLength[head] = count;
  }

  #writeIndirect(head: number): void {
    const table = this.#tableOf(head);
    const count = this.#pieces;
    for (let i = 0; i < count; i++) {
      const flags = this.#pieceFlags[i] as number;
      const isLast = i === count - 1;
      this.#write(table.offset + i * DESCRIPTOR_SIZE, i, flags, isLast ? -1 : i + 1);
    }
    this.#pieceAddress[0] = table.address;
    this.#pieceLength[0] = count * DESCRIPTOR_SIZE;
    const at = this.descriptors.offset + head * DESCRIPTOR_SIZE;
    this.#write(at, 0, DESCRIPTOR_F_INDIRECT, -1);
    this.#freeHead = this.#nextOf[head] as number;
    this.freeDescriptors -= 1;
    this.#chainLength[head] = 1;
  }

  #tableOf(head: number): Span {
    const length = this.#indirectEntriesMax * DESCRIPTOR_SIZE;
    const table = this.#tables[head] ?? this.memory.allocate(length, 16);
    this.#tables[head] = table;
    return table;
  }

  #write(at: number, piece: number, flags: number, next: number): void {
    const { view } = this.memory;
    const address = this.#pieceAddress[piece] as number;
    view.setUint32(at, address >>> 0, true);
    view.setUint32(at + 4, Math.floor(address / 0x1_0000_0000), true);
    view.setUint32(at + 8, this.#pieceLength[piece] as number, true);
    view.setUint16(at + 12, next < 0 ? flags : flags | DESCRIPTOR_F_NEXT, true);
    view.setUint16(at + 14, Math.max(next, 0), true);
  }

  #offer(head: number): void {
    const place = this.availIndex & (this.size - 1);
    this.memory.view.setUint16(this.avail.offset + AVAIL_RING + place * 2, head, true);
    this.#outstanding[place] = head;
    this.#unreturned += 1;
    this.availIndex = (this.availIndex + 1) & 0xffff;
  }

  #checkReturned(head: number, place: number): void {
    if (this.#unreturned === 0) throw new Error('the device returned a chain that it never had');
    if (this.anyOrder) {
      if ((this.#chainLength[head] ?? 0) === 0) throw new Error(`the device has no chain ${head}`);
      return;
    }
    const expected = this.#outstanding[place];
    if (head !== expected) throw new Error(`the device returned chain ${head}, not ${expected}`);
  }

  #release(head: number): void {
    const count = this.#chainLength[head] as number;
    this.#chainLength[head] = 0;
    this.#unreturned -= 1;
    if (!this.inOrder) {
      let last = head;
      for (let i = 1; i < count; i++) last = this.#nextOf[last] as number;
      // With nothing free, `freeHead` is stale and must not be linked.
      if (this.freeDescriptors > 0) this.#nextOf[last] = this.#freeHead;
      this.#freeHead = head;
    }
    this.freeDescriptors += count;
  }

  #read16(offset: number): number {
    return this.memory.u16[offset >> 1] as number;
  }

  #writeIndex(part: Span, index: number): void {
    this.memory.u16.fill(0, part.offset >> 1, (part.offset >> 1) + 1);
    this.memory.u16[(part.offset >> 1) + 1] = index;
  }
}
