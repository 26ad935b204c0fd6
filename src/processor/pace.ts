/** Milliseconds: what a busy guest takes between bursts. Less costs sleeps, more idle CPU time. */
const SPIN_MIN = 0.03;
/** About what it costs to sleep and be woken: nothing is gained by looking for longer. */
const SPIN_MAX = 0.24;
/** As long as others want the processor: it is their time that is spent on looking. */
const SPIN_CONTESTED = 0.01;
/** Turns between two looks at the clock: with many rings each takes a while. */
const CLOCK_TURNS = 16;

/** What a pace must know of the machine. */
export interface Surroundings {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Whether more threads want to run than there are processors. */
  isContested(): boolean;
}

/**
 * How long a processor goes on looking after it found nothing, before it sleeps. As KVM's halt
 * polling: a sleep that ended soon should not have been one, so the next look is longer; after a
 * long one it is short again; and where somebody else wants the processor (the guest whose answer
 * is waited for, as likely as not) there is next to none.
 *
 *     nothing to do ──► isOver? no ──► look again
 *                          └─ yes ──► sleep ──► slept(milliseconds)
 */
export class Pace {
  readonly #surroundings: Surroundings;
  #spinMilliseconds = SPIN_MIN;
  #idleTurns = 0;
  #idleSince = 0;
  #nextLook = 0;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** After a turn with work in it. */
  worked(): void {
    this.#idleTurns = 0;
  }

  /** After a turn without: true if it is time to sleep. */
  isOver(): boolean {
    this.#idleTurns += 1;
    if (this.#idleTurns === 1) this.#begin();
    if (this.#idleTurns % CLOCK_TURNS !== 0) return false;
    const now = this.#surroundings.now();
    if (now - this.#idleSince >= this.#spinMilliseconds) return true;
    if (now < this.#nextLook) return false;
    // A look costs 2 µs: not at each turn.
    this.#nextLook = now + SPIN_CONTESTED;
    return this.#surroundings.isContested();
  }

  /** After a sleep of so many milliseconds. */
  slept(milliseconds: number): void {
    this.#idleTurns = 0;
    const factor = milliseconds < SPIN_MAX ? 2 : 0.5;
    const wanted = this.#spinMilliseconds * factor;
    this.#spinMilliseconds = Math.min(Math.max(wanted, SPIN_MIN), SPIN_MAX);
  }

  #begin(): void {
    this.#idleSince = this.#surroundings.now();
    this.#nextLook = this.#idleSince + SPIN_CONTESTED;
  }
}
