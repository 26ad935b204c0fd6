// How often something may be reported. This file imports nothing.

export interface RateLimitOptions {
  /** This many at once … */
  readonly burst: number;
  /** … and one more per this many seconds. */
  readonly seconds: number;
  now(): number;
}

/** Admits occasional reports; of those that come too often it only passes on the number. */
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

  /** How many were held back since the last admitted one; null: this one is held back too. */
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

  /** How many were held back, for when no more will be admitted. */
  takeHeldBack(): number {
    const heldBack = this.#heldBack;
    this.#heldBack = 0;
    return heldBack;
  }
}

/** A text with the number of similar ones that were held back. */
export function withHeldBack(text: string, heldBack: number): string {
  return heldBack === 0 ? text : `${text} (and ${heldBack} more not reported individually)`;
}
