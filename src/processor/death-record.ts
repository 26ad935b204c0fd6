import { BackOff } from '../back-off.ts';

/** A processor that dies more often than this in a period has a bug that restarts do not cure. */
export const DEATHS_MAX = 5;
export const PERIOD_MS = 600_000;

const BACK_OFF = { firstMs: 100, maxMs: 10_000, calmMs: PERIOD_MS };

/**
 * The deaths of one processor that cannot be blamed on a ring. Decides whether to try again, and
 * when. Old deaths no longer count, because a NIC may run for years.
 */
export class DeathRecord {
  readonly #backOff = new BackOff(BACK_OFF);
  #deaths: number[] = [];

  /**
   * Returns the milliseconds to wait before replacing it, or null if it keeps dying. `now`:
   * monotonic milliseconds.
   */
  note(now: number): number | null {
    this.#deaths = [...this.#deaths.filter((at) => now - at < PERIOD_MS), now];
    if (this.#deaths.length > DEATHS_MAX) return null;
    return this.#deaths.length === 1 ? 0 : this.#backOff.next(now);
  }
}
