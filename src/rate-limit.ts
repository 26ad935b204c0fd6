// How often something may be told. This file imports nothing.

export interface RateLimitOptions {
  /** So many at once … */
  readonly burst: number;
  /** … and one more in each of these. */
  readonly seconds: number;
  now(): number;
}

/** Lets through what is told now and then; of what comes too often it lets through the number. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  #left: number;
  #refilledAt: number;
  #heldBack = 0;

  constructor(options: RateLimitOptions) {
    this.#options = options;
    this.#left = options.burst;
    this.#refilledAt = options.now();
  }

  /** How many were held back since the last that was let through; null: this one is, too. */
  admit(): number | null {
    const { burst, seconds, now } = this.#options;
    const time = now();
    const more = Math.floor((time - this.#refilledAt) / seconds);
    if (more > 0) {
      this.#refilledAt += more * seconds;
      this.#left = Math.min(burst, this.#left + more);
    }
    if (this.#left === 0) {
      this.#heldBack += 1;
      return null;
    }
    this.#left -= 1;
    return this.takeHeldBack();
  }

  /** How many were held back, if nothing is going to be let through any more. */
  takeHeldBack(): number {
    const heldBack = this.#heldBack;
    this.#heldBack = 0;
    return heldBack;
  }
}

/** A text with the number of those like it that were not told. */
export function withHeldBack(text: string, heldBack: number): string {
  return heldBack === 0 ? text : `${text} (and ${heldBack} more that were not told one by one)`;
}
