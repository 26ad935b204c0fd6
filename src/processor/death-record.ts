import { BackOff } from '../back-off.ts';

/** A processor that dies more often in a period has a bug that restarts do not cure. */
export const DEATHS_MAX = 5;
export const PERIOD_MS = 600_000;

const BACK_OFF = { firstMs: 100, maxMs: 10_000, calmMs: PERIOD_MS };

/**
 * The deaths of one processor that no ring is to blame for: whether it is worth another try, and
 * when. Old ones count no more, since a NIC may run for years.
 */
export class DeathRecord {
  readonly #backOff = new BackOff(BACK_OFF);
  #deaths: number[] = [];

  /** Milliseconds until it should be replaced, or null: it keeps dying. `now`: monotonic ones. */
  note(now: number): number | null {
    this.#deaths = [...this.#deaths.filter((at) => now - at < PERIOD_MS), now];
    if (this.#deaths.length > DEATHS_MAX) return null;
    return this.#deaths.length === 1 ? 0 : this.#backOff.next(now);
  }
}
