import { FUNCTION_COUNT_MAX, RING_BLOCK_SIZE, RING_COUNT_MAX } from '../../layout/limits.ts';

/** The ring numbers of one function, contiguous: queue n has number `first + n`. */
export interface RingBlock {
  readonly first: number;
  readonly count: number;
}

/**
 * Allocates function numbers and ring numbers. Ring numbers come in blocks, so that the firmware
 * finds a ring's owner in a small table.
 */
export class RingNumbers {
  readonly #isTaken = new Uint8Array(RING_COUNT_MAX / RING_BLOCK_SIZE);
  readonly #functions = new Set<number>();

  /** The lowest free function number, or null if all are in use. */
  allotFunction(): number | null {
    for (let number = 0; number < FUNCTION_COUNT_MAX; number++) {
      if (this.#functions.has(number)) continue;
      this.#functions.add(number);
      return number;
    }
    return null;
  }

  freeFunction(number: number): void {
    this.#functions.delete(number);
  }

  /** Numbers for this many queues, or null if no gap is large enough. */
  allotRings(queues: number): RingBlock | null {
    const blocks = Math.ceil(queues / RING_BLOCK_SIZE);
    let run = 0;
    for (let block = 0; block < this.#isTaken.length; block++) {
      run = this.#isTaken[block] === 0 ? run + 1 : 0;
      if (run < blocks) continue;
      const start = block + 1 - blocks;
      this.#isTaken.fill(1, start, block + 1);
      return { first: start * RING_BLOCK_SIZE, count: blocks * RING_BLOCK_SIZE };
    }
    return null;
  }

  /** Takes specific numbers: those of a function that was saved. */
  claim(number: number, { first, count }: RingBlock): void {
    const [start, end] = [first / RING_BLOCK_SIZE, (first + count) / RING_BLOCK_SIZE];
    if (this.#functions.has(number) || this.#isTaken.subarray(start, end).includes(1)) {
      throw new Error(`assertion: the numbers of function ${number} are taken`);
    }
    this.#functions.add(number);
    this.#isTaken.fill(1, start, end);
  }

  freeRings({ first, count }: RingBlock): void {
    const start = first / RING_BLOCK_SIZE;
    this.#isTaken.fill(0, start, start + count / RING_BLOCK_SIZE);
  }
}
