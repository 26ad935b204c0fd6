/** A seeded generator (mulberry32): the same seed gives the same numbers on every machine. */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** 0 … 2^32 − 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** 0 … limit − 1; `limit` may exceed 2^32. */
  below(limit: number): number {
    if (limit <= 0x1_0000_0000) return Math.floor((this.next() / 0x1_0000_0000) * limit);
    const wide = (this.next() & 0x1f_ffff) * 0x1_0000_0000 + this.next();
    return Math.floor((wide / 2 ** 53) * limit);
  }

  /** first … last, both included. */
  between(first: number, last: number): number {
    return first + this.below(last - first + 1);
  }

  chance(probability: number): boolean {
    return this.next() < probability * 0x1_0000_0000;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('assertion: nothing to pick from');
    return item;
  }
}
