import { readlinkSync } from 'node:fs';

// A slot of shared memory per watched thread: a cache line of its own.
const SLOT_WORDS = 16;
export const SLOT_COUNT = 128;
/** The watchdog's own slot, after those of the threads it watches. */
export const OWN_SLOT = 128;
export const PULSES_SIZE_BYTES = (OWN_SLOT + 1) * SLOT_WORDS * 4;

/** The kernel's id of the thread; 0: it has not begun; ENDED. */
const THREAD = 0;
const BEAT = 1;
const RESTS = 2;
/** The address of the number of the ring being served, in two words, or 0. */
const RING_ADDRESS = 4;
/** The thread is asked to end by itself. */
const ENDS = 6;

/** In place of a thread's id. */
const ENDED = -1;

/** How to find a slot, to be passed to another thread. */
export interface PulseSlot {
  readonly memory: SharedArrayBuffer;
  readonly slot: number;
}

/** The signs of life of one thread: the thread writes them, the watchdog reads them. */
export class Pulse {
  readonly #words: Int32Array;

  constructor({ memory, slot }: PulseSlot) {
    this.#words = new Int32Array(memory, slot * SLOT_WORDS * 4, SLOT_WORDS);
  }

  /**
   * Called by the thread itself. `ringAddress`: of a word with the number of the ring being served.
   */
  begin(ringAddress = 0): void {
    this.#words[BEAT] = 0;
    this.#words[RESTS] = 0;
    new BigUint64Array(this.#words.buffer, this.#words.byteOffset + RING_ADDRESS * 4, 1)[0] =
      BigInt(ringAddress);
    Atomics.store(this.#words, THREAD, threadId());
    Atomics.notify(this.#words, THREAD);
  }

  /** The slot is for another thread, which has not begun. */
  clear(): void {
    Atomics.store(this.#words, THREAD, 0);
  }

  /** Blocks until the thread has begun, or has ended before, at most this long. */
  waitForBegin(millisecondsMax: number): void {
    Atomics.wait(this.#words, THREAD, 0, millisecondsMax);
  }

  askToEnd(): void {
    Atomics.store(this.#words, ENDS, 1);
    Atomics.notify(this.#words, ENDS);
  }

  /** Blocks until the thread has ended, at most this long. */
  waitUntilEnded(millisecondsMax: number): void {
    const { thread } = this;
    if (thread !== 0) Atomics.wait(this.#words, THREAD, thread, millisecondsMax);
  }

  /** Sleeps, but only until the thread is asked to end. True if it is. */
  waitForEnd(milliseconds: number): boolean {
    return Atomics.wait(this.#words, ENDS, 0, milliseconds) !== 'timed-out';
  }

  end(): void {
    Atomics.store(this.#words, THREAD, ENDED);
    Atomics.notify(this.#words, THREAD);
  }

  /** A turn is done. */
  beat(): void {
    this.#words[BEAT] = ((this.#words[BEAT] ?? 0) + 1) | 0;
  }

  /** The thread starts or stops sleeping deliberately. */
  rest(isResting: boolean): void {
    this.#words[RESTS] = isResting ? 1 : 0;
    this.beat();
  }

  /** The kernel's id of the thread; 0: it has not begun, or has ended. */
  get thread(): number {
    return Math.max(0, Atomics.load(this.#words, THREAD));
  }

  get beats(): number {
    return this.#words[BEAT] ?? 0;
  }

  get isResting(): boolean {
    return this.#words[RESTS] === 1;
  }

  get ringAddress(): bigint {
    const at = this.#words.byteOffset + RING_ADDRESS * 4;
    return new BigUint64Array(this.#words.buffer, at, 1)[0] ?? 0n;
  }
}

/** PID/task/TID */
function threadId(): number {
  return Number(readlinkSync('/proc/thread-self').split('/').at(-1));
}
