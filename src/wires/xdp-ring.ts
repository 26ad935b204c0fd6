import { mapXdpRing, type XdpRingOffsets } from '../os/xdp-socket.ts';
import type { PairMemory } from './port-memory.ts';

const NEED_WAKEUP = 1;

/**
 * One ring of an AF_XDP socket, mapped into a port's memory: the kernel and we see the same bytes.
 * Indices run freely and are compared as 32-bit integers.
 *
 *     producer ─► how far its entries are filled       consumer ─► how far they are taken
 */
export class XdpRing {
  /** Index of the first entry in the words of the port's memory. */
  readonly entries: number;
  readonly #words: Uint32Array;
  readonly #producer: number;
  readonly #consumer: number;
  readonly #flags: number;

  /** Maps `sizeBytes` of the socket's file at `start` of the memory. Throws a SystemError. */
  constructor(
    memory: PairMemory,
    start: number,
    sizeBytes: number,
    source: { fd: number; fileOffset: number; offsets: XdpRingOffsets },
  ) {
    mapXdpRing(memory.address + start, sizeBytes, source.fd, source.fileOffset);
    const { offsets } = source;
    this.#words = memory.words;
    this.entries = (start + offsets.entries) / 4;
    this.#producer = (start + offsets.producer) / 4;
    this.#consumer = (start + offsets.consumer) / 4;
    this.#flags = (start + offsets.flags) / 4;
  }

  get producer(): number {
    return Atomics.load(this.#words, this.#producer) | 0;
  }

  /** Entries before it are written: the kernel may take them. */
  set producer(index: number) {
    Atomics.store(this.#words, this.#producer, index);
  }

  get consumer(): number {
    return Atomics.load(this.#words, this.#consumer) | 0;
  }

  /** Entries before it are read: the kernel may refill them. */
  set consumer(index: number) {
    Atomics.store(this.#words, this.#consumer, index);
  }

  /** Whether the kernel checks the ring only when called. */
  get needsWakeup(): boolean {
    return (Atomics.load(this.#words, this.#flags) & NEED_WAKEUP) !== 0;
  }
}
