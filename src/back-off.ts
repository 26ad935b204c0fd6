// How long to wait before something is tried again. This file imports nothing.

export interface BackOffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** The shortest calm after which the next wait is a first one again. */
  readonly calmMs?: number;
}

/** Times are from now: each process has a clock of its own. */
export interface BackOffState {
  lastMs: number;
  /** Below 0: the last wait is over. Null: there was none. */
  endsInMs: number | null;
}

/**
 * Each wait is twice as long as the last, up to a limit. The first one again comes after a calm
 * that was longer than the last wait: then it is another problem.
 */
export class BackOff {
  readonly #options: BackOffOptions;
  #lastMs = 0;
  #endsAt = Number.NEGATIVE_INFINITY;

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  /** The next wait, which begins now. `now` and what it returns are milliseconds. */
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
