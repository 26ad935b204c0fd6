import type { DriverQueue } from './driver-queue.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { Random } from './random.ts';
import { type Layout, Slot } from './slot.ts';

export interface ReceiveOptions {
  headerSize: number;
  /** Frame bytes that a buffer holds; with mergeable buffers a random number in this range. */
  bufferBytesMin: number;
  bufferBytesMax: number;
  layout: Layout;
  isMergeable: boolean;
  indirectShare: number;
  slots: number;
  /** Whether to check that the device has not written where it must not. */
  canaries: boolean;
  /** Whether frames may come incomplete; otherwise their virtio-net header must be zero. */
  takesOffloads: boolean;
  random: Random;
}

const CANARY = 0xc3;

/**
 * Receives frames on one queue. Canaries detect stray writes of the device.
 */
export class ReceiveQueue {
  readonly ring: DriverQueue;
  readonly options: ReceiveOptions;
  readonly #slots: Slot[] = [];
  readonly #pristine: Uint8Array;
  readonly #free: number[] = [];
  readonly #slotOf: Int32Array;
  /** The virtio-net header of the last frame that `take` returned. */
  readonly header: Uint8Array;
  // The chains so far of a frame that spans several.
  #parts: { slot: number; length: number }[] = [];
  #partsWanted = 0;

  constructor(memory: GuestMemory, ring: DriverQueue, options: ReceiveOptions) {
    this.ring = ring;
    this.options = options;
    this.#slotOf = new Int32Array(ring.size).fill(-1);
    this.header = new Uint8Array(options.headerSize);
    for (let i = Math.min(options.slots, ring.size) - 1; i >= 0; i--) {
      const slot = new Slot(memory, options.headerSize + options.bufferBytesMax);
      slot.bytes.fill(CANARY);
      this.#slots[i] = slot;
      this.#free.push(i);
    }
    this.#pristine = new Uint8Array(this.#slots[0]?.bytes.length ?? 0).fill(CANARY);
  }

  /** Offers up to `limit` free buffers; `publish` shows them. Returns their number. */
  post(limit = Number.POSITIVE_INFINITY): number {
    let posted = 0;
    while (posted < limit && this.#postOne()) posted += 1;
    return posted;
  }

  /** The next frame without its header, or null. Its buffers are free again, but not posted. */
  take(): Uint8Array | null {
    for (let head = this.ring.popUsed(); head !== -1; head = this.ring.popUsed()) {
      const slot = this.#slotOf[head] as number;
      this.#slotOf[head] = -1;
      if (this.ring.usedLength === 0) {
        this.#recycle(slot, 0); // a buffer that the device could not use comes back empty
        continue;
      }
      if (this.#parts.length === 0) this.#openFrame(slot, this.ring.usedLength);
      this.#parts.push({ slot, length: this.ring.usedLength });
      if (this.#parts.length === this.#partsWanted) return this.#closeFrame();
    }
    return null;
  }

  /** After a reset of the ring: all buffers belong to the driver. */
  forget(): void {
    this.#parts = [];
    this.#slotOf.fill(-1);
    this.#free.length = 0;
    for (let i = this.#slots.length - 1; i >= 0; i--) {
      this.#slots[i]?.bytes.fill(CANARY);
      this.#free.push(i);
    }
  }

  /** Checks that the device has not written to a buffer that it still has, or never had. */
  checkIdleBuffers(): void {
    for (const slot of this.#slots) {
      if (Buffer.compare(slot.bytes, this.#pristine) !== 0) {
        throw new Error('canary: the device wrote to a buffer that it did not return');
      }
    }
  }

  #postOne(): boolean {
    const { headerSize, bufferBytesMin, bufferBytesMax, layout, random } = this.options;
    const number = this.#free.at(-1);
    const slot = number === undefined ? undefined : this.#slots[number];
    if (number === undefined || slot === undefined) return false;
    slot.cut(layout, headerSize, random.between(bufferBytesMin, bufferBytesMax), random);
    const indirect = random.chance(this.options.indirectShare);
    if (this.ring.freeDescriptors < (indirect ? 1 : slot.pieceCount)) return false;
    this.#free.pop();
    for (let i = 0; i < slot.pieceCount; i++) {
      const address = slot.span.address + (slot.pieceStart[i] as number);
      this.ring.piece(address, slot.pieceLength[i] as number, true);
    }
    this.#slotOf[this.ring.commit(indirect)] = number;
    return true;
  }

  #openFrame(slot: number, length: number): void {
    const { headerSize, isMergeable, takesOffloads } = this.options;
    if (length < headerSize) throw new Error(`the device returned ${length} bytes: no header`);
    this.#slots[slot]?.read(this.header, 0);
    if (!takesOffloads && this.header.subarray(0, 10).some((byte) => byte !== 0)) {
      throw new Error(
        `the virtio-net header is not zero: ${Buffer.from(this.header).toString('hex')}`,
      );
    }
    this.#partsWanted = 1;
    if (headerSize === 10) return;
    const buffers = (this.header[10] as number) | ((this.header[11] as number) << 8);
    if (buffers === 0 || (buffers !== 1 && !isMergeable)) {
      throw new Error(`num_buffers is ${buffers}`);
    }
    this.#partsWanted = buffers;
  }

  #closeFrame(): Uint8Array {
    const { headerSize } = this.options;
    const total = this.#parts.reduce((sum, part) => sum + part.length, 0);
    const whole = new Uint8Array(total);
    let done = 0;
    for (const part of this.#parts) {
      this.#slots[part.slot]?.read(whole.subarray(done, done + part.length), 0);
      this.#recycle(part.slot, part.length);
      done += part.length;
    }
    this.#parts = [];
    return whole.subarray(headerSize);
  }

  /** Restores the canary where the frame was; everything else must still be canary. */
  #recycle(number: number, length: number): void {
    const slot = this.#slots[number];
    if (slot === undefined) throw new Error('the device returned a chain that it never had');
    slot.fill(CANARY, length);
    if (this.options.canaries && Buffer.compare(slot.bytes, this.#pristine) !== 0) {
      throw new Error('canary: the device wrote beyond what it returned');
    }
    this.#free.push(number);
  }
}
