// A transmit ring of a port: frame i is at entry i for ever, so to send is to move an index.

import { USED_ELEMENT_SIZE, USED_F_NO_NOTIFY, USED_RING } from '../../layout/virtqueue.ts';
import { createEventFd, raiseEventFd } from '../../src/os/event-fd.ts';
import type { GuestMemory } from '../../src/testing/guest-memory.ts';
import type { RingFds } from '../../src/testing/handshake.ts';
import type { SplitQueue } from '../../src/testing/split-queue.ts';

export class TransmitQueue {
  sent = 0;
  kicks = 0;
  readonly ring: SplitQueue;
  readonly size: number;
  readonly fds: RingFds = { kick: createEventFd(), call: createEventFd() };
  readonly #memory: GuestMemory;
  readonly #used: number;
  readonly #avail: number;

  constructor(memory: GuestMemory, ring: SplitQueue) {
    this.#memory = memory;
    this.ring = ring;
    this.size = ring.size;
    this.#used = indexOf(ring.used.offset);
    this.#avail = indexOf(ring.avail.offset);
  }

  /** Frames that the device has not returned. Checks that buffers came back in order. */
  get outstanding(): number {
    const used = Atomics.load(this.#memory.u16, this.#used);
    const outstanding = (this.sent - used) & 0xffff;
    if (outstanding > this.size) throw new Error('the device returned more than it got');
    if (outstanding < (this.sent & 0xffff) || this.sent > 0xffff) {
      checkOrder(this.#memory, this.ring, this.sent - outstanding - 1);
    }
    return outstanding;
  }

  /** There must be room. Kicks if the device wants it. */
  transmit(count: number): void {
    this.sent += count;
    Atomics.store(this.#memory.u16, this.#avail, this.sent & 0xffff);
    if ((Atomics.load(this.#memory.u16, this.#used - 1) & USED_F_NO_NOTIFY) !== 0) return;
    this.kicks += 1;
    raiseEventFd(this.fds.kick);
  }
}

/** Where the index of an available or used ring is, in 16-bit words. */
export function indexOf(offset: number): number {
  return (offset >> 1) + 1;
}

/** The newest entry of the used ring must be the buffer that is next in order. */
export function checkOrder(memory: GuestMemory, ring: SplitQueue, turn: number): void {
  const place = turn & (ring.size - 1);
  const at = (ring.used.offset + USED_RING + place * USED_ELEMENT_SIZE) >> 2;
  const head = memory.u32[at];
  if (head !== place) throw new Error(`the device returned buffer ${head} instead of ${place}`);
}
