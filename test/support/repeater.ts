// A guest that sends the same chains again and again, as many as its ring holds: the test writes
// the descriptors once, so that the guest's side takes next to no time.
//
//   writeFrame, writeScattered, writeRequest ─► heads ─► offer … offer ─► done

import { DESCRIPTOR_F_NEXT, DESCRIPTOR_F_WRITE } from '../../layout/virtqueue.ts';
import { GuestMemory } from '../../src/testing/guest-memory.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import type { SplitQueue } from '../../src/testing/split-queue.ts';

const NET_HEADER_SIZE = 12;
const WINDOW = 0x400000;
const FAR = 0x1_0000_0000;

/** Memory whose second part has a window for each of so many pieces, more than there can be. */
export function farMemory(pieces: number): GuestMemory {
  const memory = new GuestMemory({ regions: [{ guestAddress: 0, sizeBytes: 0x2000000 }] });
  const regions = [{ guestAddress: FAR, sizeBytes: pieces * WINDOW }];
  const rest = new GuestMemory({ regions, sparse: true, mappedBytesMax: WINDOW });
  memory.regions.push(...rest.regions);
  return memory;
}

export class Repeater {
  readonly #guest: MockGuest;
  readonly #queue: number;
  readonly #ring: SplitQueue;
  readonly #heads: number[] = [];
  /** Where the next descriptor is written. */
  #next = 0;
  #seen: number;
  /** Chains that have come back. */
  done = 0;

  /** `guest`: with `isRaw`. */
  constructor(guest: MockGuest, queue = 1) {
    this.#guest = guest;
    this.#queue = queue;
    this.#ring = guest.queues.ring(queue);
    this.#seen = this.#ring.usedIndex;
  }

  /** A frame in pieces of that size. `header`: default: no offloads. */
  writeFrame(
    frame: Uint8Array,
    { piece = 65536, header }: { piece?: number; header?: Uint8Array } = {},
  ): this {
    const { memory } = this.#guest.queues;
    const span = memory.allocate(NET_HEADER_SIZE + frame.length);
    memory.bytes.set(header ?? new Uint8Array(NET_HEADER_SIZE), span.offset);
    memory.bytes.set(frame, span.offset + NET_HEADER_SIZE);
    const count = Math.ceil(span.length / piece);
    const pieces = Array.from({ length: count }, (_, i) => ({
      address: BigInt(span.address + i * piece),
      length: Math.min(piece, span.length - i * piece),
    }));
    return this.#writeChain(pieces);
  }

  /** A frame whose bytes are each in another window of `farMemory`. */
  writeScattered(first: number, bytes: number): this {
    const pieces = Array.from({ length: bytes }, (_, i) => ({
      address: BigInt(FAR + (first + i) * WINDOW),
      length: 1,
    }));
    return this.#writeChain(pieces);
  }

  /** A command with room for its answer. */
  writeRequest(bytes: Uint8Array): this {
    const { memory } = this.#guest.queues;
    const span = memory.allocate(64);
    memory.bytes.set(bytes, span.offset);
    return this.#writeChain([
      { address: BigInt(span.address), length: bytes.length },
      { address: BigInt(span.address + 32), length: 1, flags: DESCRIPTOR_F_WRITE },
    ]);
  }

  /** A buffer of a receive ring. */
  writeBuffer(bytes: number): this {
    const { address } = this.#guest.queues.memory.allocate(bytes);
    return this.#writeChain([
      { address: BigInt(address), length: bytes, flags: DESCRIPTOR_F_WRITE },
    ]);
  }

  #writeChain(pieces: readonly { address: bigint; length: number; flags?: number }[]): this {
    this.#heads.push(this.#next);
    for (const [i, { flags = 0, ...piece }] of pieces.entries()) {
      const next = this.#next + 1;
      const more = i < pieces.length - 1 ? DESCRIPTOR_F_NEXT : 0;
      this.#ring.writeDescriptor(this.#next, { ...piece, flags: flags | more, next });
      this.#next = next;
    }
    return this;
  }

  /** Fills the ring. */
  offer(): void {
    const { usedIndex, availIndex, size } = this.#ring;
    this.done += (usedIndex - this.#seen) & 0xffff;
    this.#seen = usedIndex;
    const room = size - ((availIndex - usedIndex) & 0xffff);
    for (let i = 0; i < room; i++) {
      this.#ring.offerRaw(this.#heads[this.#ring.availIndex % this.#heads.length] ?? 0);
    }
    if (this.#ring.publish()) this.#guest.kick(this.#queue);
  }
}
