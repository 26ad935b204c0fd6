import type { DriverQueue } from './driver-queue.ts';
import type { GuestMemory, Span } from './guest-memory.ts';
import type { Random } from './random.ts';

const ANSWER_BYTES_MAX = 64;
const CANARY = 0x9b;

/** What the device wrote: the ack, then the result. */
export interface Answer {
  ack: number;
  result: Uint8Array;
}

interface Pending {
  key: number;
  answer: Span;
  resultBytes: number;
  settle: (answer: Answer) => void;
}

/**
 * The driver's side of the control queue (virtio 1.3, 5.1.6.5). Command and answer are cut into
 * descriptors at random places, or go through an indirect table.
 *
 *     [class, command][data …]  │  [ack, result …]
 */
export class ControlQueue {
  readonly ring: DriverQueue;
  readonly #memory: GuestMemory;
  readonly #random: Random;
  #pending: Pending[] = [];

  constructor(memory: GuestMemory, ring: DriverQueue, random: Random) {
    this.#memory = memory;
    this.ring = ring;
    this.#random = random;
  }

  /** Puts a command on the ring; `publish` shows it to the device. Resolves with the answer. */
  send(bytes: Uint8Array, resultBytes = 0): Promise<Answer> {
    const indirect = this.#random.chance(0.3);
    const limit = indirect ? 4 : 3;
    this.#cut(this.#place(bytes), false, limit);
    const answer = this.#place(new Uint8Array(ANSWER_BYTES_MAX).fill(CANARY));
    this.#cut({ ...answer, length: 1 + resultBytes }, true, 2);
    const key = this.ring.commit(indirect);
    return new Promise((settle) => {
      this.#pending.push({ key, answer, resultBytes, settle });
    });
  }

  /** Takes back the commands that the device has finished. */
  reclaim(): void {
    for (let key = this.ring.popUsed(); key !== -1; key = this.ring.popUsed()) {
      const pending = this.#pending.shift();
      if (pending?.key !== key) throw new Error(`the device returned command ${key}`);
      const { answer, resultBytes } = pending;
      const { usedLength } = this.ring;
      if (usedLength > 1 + resultBytes) throw new Error(`${usedLength} bytes of answer`);
      const bytes = this.#memory.bytes.slice(answer.offset, answer.offset + answer.length);
      if (bytes.subarray(usedLength).some((byte) => byte !== CANARY)) {
        throw new Error('canary: the device wrote beyond its answer');
      }
      pending.settle({ ack: bytes[0] ?? -1, result: bytes.slice(1, usedLength) });
    }
  }

  /** After a reset of the ring: no command is in flight. */
  reset(base: number): void {
    this.#pending = [];
    this.ring.reset(base);
  }

  #place(bytes: Uint8Array): Span {
    const span = this.#memory.allocate(Math.max(bytes.length, 1));
    this.#memory.bytes.set(bytes, span.offset);
    return { ...span, length: bytes.length };
  }

  #cut(span: Span, isWritable: boolean, pieces: number): void {
    let done = 0;
    for (let piece = 1; piece < pieces && span.length - done > 1; piece++) {
      const length = this.#random.between(1, span.length - done - 1);
      this.ring.piece(span.address + done, length, isWritable);
      done += length;
    }
    if (done < span.length) this.ring.piece(span.address + done, span.length - done, isWritable);
  }
}
