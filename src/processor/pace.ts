/** Milliseconds: what a busy guest takes between bursts. Less costs sleeps, more idle CPU time. */
const SPIN_MIN = 0.03;
/** About what it costs to sleep and be woken: nothing is gained by looking for longer. */
const SPIN_MAX = 0.24;
/** Turns between two looks at the clock: with many rings each takes a while. */
const CLOCK_TURNS = 16;

/**
 * How long a processor goes on looking after it found nothing, before it sleeps. As KVM's halt
 * polling: a sleep that ended soon should not have been one, so the next look is longer; after a
 * long one it is short again.
 *
 *     nothing to do ──► isOver? no ──► look again
 *                          └─ yes ──► sleep ──► slept(milliseconds)
 */
export class Pace {
  readonly #now: () => number;
  #spinMilliseconds = SPIN_MIN;
  #idleTurns = 0;
  #idleSince = 0;

  /** `now`: milliseconds of a monotonic clock. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** After a turn with work in it. */
  worked(): void {
    this.#idleTurns = 0;
  }

  /** After a turn without: true if it is time to sleep. */
  isOver(): boolean {
    this.#idleTurns += 1;
    if (this.#idleTurns === 1) this.#idleSince = this.#now();
    if (this.#idleTurns % CLOCK_TURNS !== 0) return false;
    return this.#now() - this.#idleSince >= this.#spinMilliseconds;
  }

  /** After a sleep of so many milliseconds. */
  slept(milliseconds: number): void {
    this.#idleTurns = 0;
    const factor = milliseconds < SPIN_MAX ? 2 : 0.5;
    const wanted = this.#spinMilliseconds * factor;
    this.#spinMilliseconds = Math.min(Math.max(wanted, SPIN_MIN), SPIN_MAX);
  }
}
