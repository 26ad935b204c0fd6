import type { DriverQueue } from './driver-queue.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { Random } from './random.ts';
import { type Layout, SLOT_PIECES_MAX, Slot } from './slot.ts';

export interface TransmitOptions {
  headerSize: number;
  frameSizeMax: number;
  layout: Layout;
  /** Share of chains that go through an indirect table. */
  indirectShare: number;
  /** Most frames in flight at once. */
  slots: number;
  /** Whether to check that returned buffers are unchanged. */
  canaries: boolean;
  random: Random;
}

/** Sends frames on one queue. Buffers must come back unchanged. */
export class TransmitQueue {
  readonly ring: DriverQueue;
  readonly options: TransmitOptions;
  /** Frames that the device has returned. */
  completed = 0;
  /** Packets of `sendSpan` that the device has returned. */
  spansReturned = 0;
  readonly #slots: Slot[] = [];
  readonly #copies: Uint8Array[] = [];
  readonly #free: number[] = [];
  readonly #slotOf: Int32Array;

  constructor(memory: GuestMemory, ring: DriverQueue, options: TransmitOptions) {
    this.ring = ring;
    this.options = options;
    this.#slotOf = new Int32Array(ring.size).fill(-1);
    for (let i = Math.min(options.slots, ring.size) - 1; i >= 0; i--) {
      const slot = new Slot(memory, options.headerSize + options.frameSizeMax);
      this.#slots[i] = slot;
      slot.bytes.fill(0xa5);
      if (options.canaries) this.#copies[i] = new Uint8Array(slot.bytes.length);
      this.#free.push(i);
    }
  }

  get outstanding(): number {
    return this.ring.outstanding;
  }

  /** Puts a frame on the ring; `publish` shows it to the device. False if the ring is full. */
  trySend(frame: Uint8Array, layout: Layout = this.options.layout, header?: Uint8Array): boolean {
    const { headerSize, random, indirectShare } = this.options;
    const number = this.#free.at(-1);
    const slot = number === undefined ? undefined : this.#slots[number];
    if (number === undefined || slot === undefined) return false;
    slot.cut(layout, headerSize, frame.length, random);
    const indirect = random.chance(indirectShare);
    const needed = indirect ? 1 : slot.pieceCount;
    if (this.ring.freeDescriptors < needed) return false;
    this.#free.pop();
    slot.fill(0, headerSize);
    if (header !== undefined) slot.write(header, 0);
    slot.write(frame, headerSize);
    this.#copies[number]?.set(slot.bytes);
    this.#commit(number, slot, indirect);
    return true;
  }

  /** Puts a packet at any address on the ring, as one piece. */
  sendSpan(address: number, length: number): void {
    this.ring.piece(address, length, false);
    this.ring.commit();
  }

  /** Takes back what the device has finished. Returns the number of frames. */
  reclaim(): number {
    let frames = 0;
    for (let head = this.ring.popUsed(); head !== -1; head = this.ring.popUsed()) {
      const number = this.#slotOf[head] as number;
      this.#slotOf[head] = -1;
      if (number === -1) {
        this.spansReturned += 1;
        continue;
      }
      this.#checkUntouched(number);
      this.#free.push(number);
      frames += 1;
    }
    this.completed += frames;
    return frames;
  }

  /** After a reset of the ring: all buffers belong to the driver. */
  forget(): void {
    this.#free.length = 0;
    for (let i = this.#slots.length - 1; i >= 0; i--) this.#free.push(i);
    this.#slotOf.fill(-1);
  }

  #commit(number: number, slot: Slot, indirect: boolean): void {
    if (slot.pieceCount > SLOT_PIECES_MAX) throw new Error('assertion: too many pieces');
    for (let i = 0; i < slot.pieceCount; i++) {
      const address = slot.span.address + (slot.pieceStart[i] as number);
      this.ring.piece(address, slot.pieceLength[i] as number, false);
    }
    this.#slotOf[this.ring.commit(indirect)] = number;
  }

  #checkUntouched(number: number): void {
    if (this.ring.usedLength !== 0) {
      throw new Error(`the device claims ${this.ring.usedLength} bytes written on transmit`);
    }
    const copy = this.#copies[number];
    if (copy === undefined) return;
    if (Buffer.compare(copy, this.#slots[number]?.bytes ?? copy) !== 0) {
      throw new Error('canary: the device wrote to a transmit buffer');
    }
  }
}
