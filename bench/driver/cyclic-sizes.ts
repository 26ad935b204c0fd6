// How many bytes the first n frames of a ring have, when their sizes take turns by entry.

export class CyclicSizes {
  /** Of the frames before each entry; the last is the sum of all. */
  readonly #before: Float64Array;
  readonly #ringSize: number;
  readonly largest: number;

  /** The entries of the ring have these sizes in turn, each round from the first. */
  constructor(ringSize: number, sizes: readonly number[]) {
    this.#ringSize = ringSize;
    this.#before = new Float64Array(ringSize + 1);
    this.largest = Math.max(...sizes);
    for (let entry = 0; entry < ringSize; entry += 1) {
      this.#before[entry + 1] = this.#before[entry]! + sizes[entry % sizes.length]!;
    }
  }

  bytesOf(frames: number): number {
    const rounds = Math.floor(frames / this.#ringSize);
    const rest = frames - rounds * this.#ringSize;
    return rounds * this.#before[this.#ringSize]! + this.#before[rest]!;
  }
}
