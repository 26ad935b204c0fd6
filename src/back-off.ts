// How long to wait before a retry. This file imports nothing.

export interface BackOffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** The shortest calm after which the next wait is the first one again. */
  readonly calmMs?: number;
}

/** Times are relative to now, because each process has its own clock. */
export interface BackOffState {
  lastMs: number;
  /** Negative: the last wait is over. Null: there was none. */
  endsInMs: number | null;
}

/**
 * Each wait is twice as long as the last, up to a limit. After a calm longer than the last wait,
 * waits start from the first again, since that is a new problem.
 */
export class BackOff {
  readonly #options: BackOffOptions;
  #lastMs = 0;
  #endsAt = Number.NEGATIVE_INFINITY;

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  /** The next wait, which starts now. `now` and the result are in milliseconds. */
  next(now: number): number {
    const { firstMs, maxMs, calmMs = 0 } = this.#options;
    const isOver = now - this.#endsAt > Math.max(this.#lastMs, calmMs);
    this.#lastMs = isOver ? firstMs : Math.min(this.#lastMs * 2, maxMs);
    this.#endsAt = now + this.#lastMs;
    return this.#lastMs;
  }

  save(now: number): BackOffState {
    const isOver = this.#endsAt === Number.NEGATIVE_INFINITY;
    return { lastMs: this.#lastMs, endsInMs: isOver ? null : this.#endsAt - now };
  }

  restore({ lastMs, endsInMs }: BackOffState, now: number): void {
    this.#lastMs = lastMs;
    this.#endsAt = endsInMs === null ? Number.NEGATIVE_INFINITY : now + endsInMs;
  }

  reset(): void {
    this.#endsAt = Number.NEGATIVE_INFINITY;
  }
}
