import {
  DESCRIPTOR_F_INDIRECT,
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_SIZE,
  PACKED_EVENT_DESCRIPTOR,
  PACKED_EVENT_DISABLE,
  PACKED_EVENT_ENABLE,
  PACKED_EVENT_SIZE,
  PACKED_F_AVAIL,
  PACKED_F_USED,
  PACKED_WRAP,
} from '../../layout/virtqueue.ts';
import {
  type DriverQueue,
  type DriverQueueOptions,
  needsEvent,
  PIECES_MAX,
} from './driver-queue.ts';
import type { GuestMemory, Span } from './guest-memory.ts';

export interface PackedDescriptor {
  address: bigint;
  length: number;
  flags: number;
  id: number;
}

const FLAGS_IN_U16 = 7;
const ID_IN_U16 = 6;
/** Spreads keys over 16 bits; the product of the two factors is 1 modulo 2^16. */
const ID_FACTOR = 40503;
const ID_FACTOR_INVERSE = 30599;

/**
 * The driver's side of a packed virtqueue (virtio 1.3, 2.8). It keeps its own record of every chain
 * and trusts nothing that the device writes. Ids are spread over all 16 bits, so that a device that
 * mistakes an id for a position is caught. The frame path does not allocate.
 *
 *   slots:  used … used │ available (a chain takes one for each piece) … │ free
 *                   lastUsed ┘                              nextAvail ┘
 */
export class PackedQueue implements DriverQueue {
  readonly isPacked = true;
  readonly size: number;
  readonly memory: GuestMemory;
  readonly descriptors: Span;
  readonly avail: Span;
  readonly used: Span;
  readonly eventIndex: boolean;
  readonly inOrder: boolean;
  readonly anyOrder: boolean;
  usedLength = 0;
  freeDescriptors: number;
  /** Places of both sides: a position, with the wrap counter in the top bit. */
  nextAvail = 0;
  lastUsed = 0;
  readonly #indirectEntriesMax: number;
  readonly #tables: (Span | undefined)[] = [];
  /** Slots of the chain with this key; 0 if the device does not have it. */
  readonly #chainLength: Uint16Array;
  /** Free keys, as a stack. */
  readonly #freeKeys: Uint16Array;
  /** Keys in flight, oldest first, as a ring. */
  readonly #order: Uint16Array;
  #orderHead = 0;
  #unreturned = 0;
  readonly #idSalt: number;
  readonly #pieceAddress = new Float64Array(PIECES_MAX);
  readonly #pieceLength = new Uint32Array(PIECES_MAX);
  readonly #pieceFlags = new Uint16Array(PIECES_MAX);
  #pieces = 0;
  /** The head whose flags are withheld until `publish`, and those flags. */
  #heldSlot = -1;
  #heldFlags = 0;
  #slotsSincePublish = 0;

  constructor(memory: GuestMemory, options: DriverQueueOptions) {
    const { size } = options;
    this.memory = memory;
    this.size = size;
    this.descriptors = memory.allocate(size * DESCRIPTOR_SIZE, 16);
    this.avail = memory.allocate(PACKED_EVENT_SIZE, 4);
    this.used = memory.allocate(PACKED_EVENT_SIZE, 4);
    this.eventIndex = options.eventIndex === true;
    this.inOrder = options.inOrder === true;
    this.anyOrder = options.anyOrder === true && !this.inOrder;
    this.#indirectEntriesMax = options.indirectEntriesMax ?? 0;
    this.freeDescriptors = size;
    this.#chainLength = new Uint16Array(size);
    this.#freeKeys = new Uint16Array(size);
    this.#order = new Uint16Array(size);
    this.#idSalt = (this.descriptors.address >> 4) & 0xffff;
    this.reset(options.base ?? 0);
  }

  reset(base = 0): void {
    const { bytes } = this.memory;
    this.nextAvail = this.placeOf(base);
    this.lastUsed = this.nextAvail;
    this.freeDescriptors = this.size;
    this.#orderHead = 0;
    this.#unreturned = 0;
    this.#pieces = 0;
    this.#heldSlot = -1;
    this.#slotsSincePublish = 0;
    this.#chainLength.fill(0);
    // The last key comes first: a device that takes keys for positions fails.
    for (let i = 0; i < this.size; i++) this.#freeKeys[i] = i;
    bytes.fill(0, this.descriptors.offset, this.descriptors.offset + this.descriptors.length);
    // Slots before the position were used in this lap, those after it in the lap before.
    for (let slot = 0; slot < this.size; slot++) {
      const wrap = (this.nextAvail & PACKED_WRAP) !== 0;
      const isUsed = slot < (this.nextAvail & ~PACKED_WRAP) ? wrap : !wrap;
      this.#storeFlags(slot, isUsed ? PACKED_F_AVAIL | PACKED_F_USED : 0);
    }
    bytes.fill(0, this.avail.offset, this.avail.offset + PACKED_EVENT_SIZE);
    bytes.fill(0, this.used.offset, this.used.offset + PACKED_EVENT_SIZE);
  }

  /** The place that many slots after the start of the ring's life. */
  placeOf(slots: number): number {
    const position = slots % this.size;
    return Math.floor(slots / this.size) % 2 === 0 ? position | PACKED_WRAP : position;
  }

  /** The place that many slots after another. */
  placeBehind(place: number, slots: number): number {
    const position = (place & ~PACKED_WRAP) + slots;
    const isFlipped = Math.floor(position / this.size) % 2 === 1;
    return (position % this.size) | ((isFlipped ? ~place : place) & PACKED_WRAP);
  }

  get outstanding(): number {
    return this.#unreturned;
  }

  get base(): number {
    return (this.lastUsed | (this.lastUsed << 16)) >>> 0;
  }

  hasRoom(pieces: number): boolean {
    const needed = pieces <= this.#indirectEntriesMax ? 1 : pieces;
    return this.freeDescriptors >= needed;
  }

  piece(address: number, length: number, isWritable: boolean): void {
    this.#pieceAddress[this.#pieces] = address;
    this.#pieceLength[this.#pieces] = length;
    this.#pieceFlags[this.#pieces] = isWritable ? DESCRIPTOR_F_WRITE : 0;
    this.#pieces += 1;
  }

  commit(indirect = false): number {
    const key = this.#takeKey();
    if (indirect && this.#pieces <= this.#indirectEntriesMax) this.#foldIntoTable(key);
    const count = this.#pieces;
    if (count > this.freeDescriptors) throw new Error('assertion: no free descriptors');
    // From the last to the first: the head's flags make all of them available (2.8.21).
    for (let i = count - 1; i >= 0; i--) this.#writePiece(i, count, this.idOf(key));
    this.#chainLength[key] = count;
    this.freeDescriptors -= count;
    this.nextAvail = this.placeBehind(this.nextAvail, count);
    this.#slotsSincePublish += count;
    this.#pieces = 0;
    return key;
  }

  publish(): boolean {
    const slots = this.#slotsSincePublish;
    if (this.#heldSlot >= 0) this.#storeFlags(this.#heldSlot, this.#heldFlags);
    this.#heldSlot = -1;
    this.#slotsSincePublish = 0;
    if (slots === 0) return false;
    // The atomic store above is a full fence: the device's event flags are read after it
    // (2.8.21.3.1).
    const flags = this.#read16(this.used.offset + 2);
    if (!this.eventIndex || flags !== PACKED_EVENT_DESCRIPTOR) {
      return flags !== PACKED_EVENT_DISABLE;
    }
    const event = this.#read16(this.used.offset);
    let index = event & ~PACKED_WRAP;
    if (((event ^ this.nextAvail) & PACKED_WRAP) !== 0) index -= this.size;
    const after = this.nextAvail & ~PACKED_WRAP;
    return needsEvent(index, after, after - slots);
  }

  get hasUsed(): boolean {
    return this.#isUsed(this.lastUsed);
  }

  popUsed(): number {
    if (!this.hasUsed) return -1;
    const at = this.#slotOffset(this.lastUsed);
    const id = this.#read16(at + ID_IN_U16 * 2);
    this.usedLength = this.memory.view.getUint32(at + 8, true);
    if (this.#unreturned === 0) throw new Error('the device returned a chain that it never had');
    const key = this.#returnedKey(id);
    this.#checkUsedFlags(at);
    this.#orderHead = (this.#orderHead + 1) % this.size;
    this.#unreturned -= 1;
    const count = this.#chainLength[key] as number;
    this.#chainLength[key] = 0;
    this.freeDescriptors += count;
    this.lastUsed = this.placeBehind(this.lastUsed, count);
    this.#freeKeys[this.size - 1 - this.#unreturned] = key;
    return key;
  }

  armCall(): boolean {
    if (this.eventIndex) this.setUsedEvent(this.lastUsed);
    else this.#setCallFlags(PACKED_EVENT_ENABLE);
    return this.hasUsed;
  }

  suppressCall(): void {
    this.#setCallFlags(PACKED_EVENT_DISABLE);
  }

  /** `place` has the wrap counter in its top bit. */
  setUsedEvent(place: number): void {
    this.memory.u16[this.avail.offset >> 1] = place;
    this.#setCallFlags(PACKED_EVENT_DESCRIPTOR);
  }

  skipUsed(): void {
    for (let slots = 0; slots < this.size && this.hasUsed; slots++) {
      this.lastUsed = this.placeBehind(this.lastUsed, 1);
    }
  }

  /** The id of a key on the ring; an odd factor makes it different for every key. */
  idOf(key: number): number {
    return (key * ID_FACTOR + this.#idSalt) & 0xffff;
  }

  /** The key of an id, whether or not the device has that chain. */
  keyOf(id: number): number {
    return ((id - this.#idSalt) * ID_FACTOR_INVERSE) & 0xffff;
  }

  // From here on: what a hostile driver needs to write to the ring freely.

  /** The two flag bits that make the descriptor at a place available. */
  availableBits(place = this.nextAvail): number {
    return (place & PACKED_WRAP) !== 0 ? PACKED_F_AVAIL : PACKED_F_USED;
  }

  /**
   * Overwrites a slot of the ring, or of an indirect table at `table`; the flags last and
   * atomically.
   */
  writeDescriptor(slot: number, fields: PackedDescriptor, table: Span = this.descriptors): void {
    const at = table.offset + slot * DESCRIPTOR_SIZE;
    const { view, u16 } = this.memory;
    view.setBigUint64(at, BigInt.asUintN(64, fields.address), true);
    view.setUint32(at + 8, fields.length, true);
    view.setUint16(at + 12, fields.id, true);
    Atomics.store(u16, (at >> 1) + FLAGS_IN_U16, fields.flags);
  }

  readDescriptor(slot: number): PackedDescriptor {
    const at = this.descriptors.offset + slot * DESCRIPTOR_SIZE;
    const { view } = this.memory;
    return {
      address: view.getBigUint64(at, true),
      length: view.getUint32(at + 8, true),
      id: view.getUint16(at + 12, true),
      flags: Atomics.load(this.memory.u16, (at >> 1) + FLAGS_IN_U16),
    };
  }

  /**
   * Makes descriptors available in the next slots exactly as they are, without recording them.
   */
  offerRaw(...descriptors: readonly PackedDescriptor[]): void {
    for (let i = descriptors.length - 1; i >= 0; i--) {
      const fields = descriptors[i] as PackedDescriptor;
      const place = this.placeBehind(this.nextAvail, i);
      const flags = fields.flags | this.availableBits(place);
      this.writeDescriptor(place & ~PACKED_WRAP, { ...fields, flags });
    }
    this.nextAvail = this.placeBehind(this.nextAvail, descriptors.length);
  }

  /** Whether the device has returned the slot at a place. */
  isUsedAt(place: number): boolean {
    return this.#isUsed(place);
  }

  /** The chain that an id names: it must be the oldest one, or with `anyOrder` one in flight. */
  #returnedKey(id: number): number {
    if (this.anyOrder) {
      const key = this.keyOf(id);
      if ((this.#chainLength[key] ?? 0) === 0) throw new Error(`the device has no chain ${id}`);
      return key;
    }
    const key = this.#order[this.#orderHead] as number;
    if (id === this.idOf(key)) return key;
    throw new Error(`the device returned id ${id}, not ${this.idOf(key)}`);
  }

  #takeKey(): number {
    if (this.#unreturned === this.size) throw new Error('assertion: no free descriptors');
    const key = this.#freeKeys[this.size - 1 - this.#unreturned] as number;
    this.#order[(this.#orderHead + this.#unreturned) % this.size] = key;
    this.#unreturned += 1;
    return key;
  }

  #writePiece(index: number, count: number, id: number): void {
    const place = this.placeBehind(this.nextAvail, index);
    const at = this.#slotOffset(place);
    const { view } = this.memory;
    const address = this.#pieceAddress[index] as number;
    view.setUint32(at, address >>> 0, true);
    view.setUint32(at + 4, Math.floor(address / 0x1_0000_0000), true);
    view.setUint32(at + 8, this.#pieceLength[index] as number, true);
    // 2.8.6: only the last descriptor's id counts. The others differ on purpose.
    view.setUint16(at + 12, index === count - 1 ? id : id ^ 0x5555, true);
    let flags = (this.#pieceFlags[index] as number) | this.availableBits(place);
    if (index < count - 1) flags |= DESCRIPTOR_F_NEXT;
    const slot = place & ~PACKED_WRAP;
    if (index > 0 || this.#heldSlot >= 0) {
      this.#storeFlags(slot, flags);
      return;
    }
    this.#heldSlot = slot;
    this.#heldFlags = flags;
  }

  /** Moves the pieces into the key's indirect table, which becomes the only piece (2.8.7). */
  #foldIntoTable(key: number): void {
    const table = this.#tableOf(key);
    const { view } = this.memory;
    for (let i = 0; i < this.#pieces; i++) {
      const at = table.offset + i * DESCRIPTOR_SIZE;
      const address = this.#pieceAddress[i] as number;
      view.setUint32(at, address >>> 0, true);
      view.setUint32(at + 4, Math.floor(address / 0x1_0000_0000), true);
      view.setUint32(at + 8, this.#pieceLength[i] as number, true);
      // Here the id and all flags but WRITE are reserved: the device must ignore them.
      view.setUint16(at + 12, 0xffff, true);
      view.setUint16(at + 14, this.#pieceFlags[i] as number, true);
    }
    this.#pieceAddress[0] = table.address;
    this.#pieceLength[0] = this.#pieces * DESCRIPTOR_SIZE;
    this.#pieceFlags[0] = DESCRIPTOR_F_INDIRECT;
    this.#pieces = 1;
  }

  #tableOf(key: number): Span {
    const length = this.#indirectEntriesMax * DESCRIPTOR_SIZE;
    const table = this.#tables[key] ?? this.memory.allocate(length, 16);
    this.#tables[key] = table;
    return table;
  }

  #checkUsedFlags(at: number): void {
    const flags = this.#read16(at + FLAGS_IN_U16 * 2);
    // 2.8.4: WRITE says whether `length` is valid; NEXT and INDIRECT are reserved in used
    // descriptors.
    const isWritten = (flags & DESCRIPTOR_F_WRITE) !== 0;
    if (isWritten !== (this.usedLength !== 0) || (flags & ~0x8082) !== 0) {
      throw new Error(`used flags ${flags.toString(16)} with length ${this.usedLength}`);
    }
  }

  #isUsed(place: number): boolean {
    const slot = place & ~PACKED_WRAP;
    const at = (this.descriptors.offset + slot * DESCRIPTOR_SIZE) >> 1;
    const flags = Atomics.load(this.memory.u16, at + FLAGS_IN_U16);
    const isSet = (flags & PACKED_F_USED) !== 0;
    return isSet === ((flags & PACKED_F_AVAIL) !== 0) && isSet === ((place & PACKED_WRAP) !== 0);
  }

  #slotOffset(place: number): number {
    return this.descriptors.offset + (place & ~PACKED_WRAP) * DESCRIPTOR_SIZE;
  }

  #storeFlags(slot: number, flags: number): void {
    const at = (this.descriptors.offset + slot * DESCRIPTOR_SIZE) >> 1;
    Atomics.store(this.memory.u16, at + FLAGS_IN_U16, flags);
  }

  #setCallFlags(flags: number): void {
    Atomics.store(this.memory.u16, (this.avail.offset >> 1) + 1, flags);
  }

  #read16(offset: number): number {
    return this.memory.u16[offset >> 1] as number;
  }
}
