/** Milliseconds: what a busy guest takes between bursts. Less costs sleeps, more idle CPU time. */
const SPIN_MIN = 0.03;
/** About what it costs to sleep and be woken: nothing is gained by looking for longer. */
const SPIN_MAX = 0.24;
/** Milliseconds between two looks at whether others want the core: 2 µs each. */
const CONTEST_LOOK = 0.01;
/** Milliseconds for which bulk traffic takes a core for contested that was so a moment ago. */
const CONTEST_MEMORY = 10;
/** Bytes since the last rest: less is a question or an answer, which a nap would only delay. */
const BULK_BYTES = 4096;
/** Turns with work whose senders hear of it later, while naps go on. */
const PUT_OFF_TURNS = 8;
/** Turns between two looks at the clock: with many rings each takes a while. */
const CLOCK_TURNS = 16;

/** Microseconds. Less than a guest under TCG takes for a super-frame. */
export const NAP_MICROSECONDS = 60;

/** What a pace must know of the machine and the processor. */
export interface Surroundings {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Whether more threads want to run than there are cores. */
  isContested(): boolean;
  /** Bytes that guests sent so far, modulo 2^32. */
  sentBytes(): number;
}

export type Rest = 'look' | 'nap' | 'sleep';

/**
 * What a processor does that finds nothing to do: it goes on looking for a while, and then sleeps.
 * As KVM's halt polling: a sleep that ended soon should not have been one, so the next look is
 * longer; after a long one it is short again; and where somebody else wants the core (the guest
 * whose answer is waited for, as likely as not) there is next to none.
 *
 * While much flows there, a short nap is better than a sleep: the guests need not kick, and those
 * that send hear of several frames at once.
 */
export class Pace {
  readonly #surroundings: Surroundings;
  #spinMilliseconds = SPIN_MIN;
  #idleTurns = 0;
  #idleSince = 0;
  #nextLook = 0;
  #contestedUntil = Number.NEGATIVE_INFINITY;
  #sentBeforeRest = 0;
  #hasNapped = false;
  #putOffTurns = 0;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** After a turn with work in it. */
  worked(): void {
    this.#idleTurns = 0;
    if (this.#putOffTurns > 0) this.#putOffTurns -= 1;
  }

  /** True while those who send need not hear of it at once. */
  get putsOff(): boolean {
    return this.#putOffTurns > 0;
  }

  /** After a turn without. */
  rest(): Rest {
    this.#idleTurns += 1;
    if (this.#idleTurns === 1) this.#begin();
    if (this.#idleTurns % CLOCK_TURNS !== 0) return 'look';
    const now = this.#surroundings.now();
    const mayNap = this.#hasNapped || this.#isBulk();
    if (mayNap && now < this.#contestedUntil) return this.#napOrSleep();
    if (now - this.#idleSince >= this.#spinMilliseconds) return this.#end('sleep');
    if (now < this.#nextLook) return 'look';
    this.#nextLook = now + CONTEST_LOOK;
    if (!this.#surroundings.isContested()) return 'look';
    this.#contestedUntil = now + CONTEST_MEMORY;
    return this.#napOrSleep();
  }

  /** After a sleep of so many milliseconds. */
  slept(milliseconds: number): void {
    const factor = milliseconds < SPIN_MAX ? 2 : 0.5;
    const wanted = this.#spinMilliseconds * factor;
    this.#spinMilliseconds = Math.min(Math.max(wanted, SPIN_MIN), SPIN_MAX);
  }

  #begin(): void {
    this.#idleSince = this.#surroundings.now();
    this.#nextLook = this.#idleSince + CONTEST_LOOK;
  }

  #isBulk(): boolean {
    return (this.#surroundings.sentBytes() - this.#sentBeforeRest) >>> 0 >= BULK_BYTES;
  }

  #napOrSleep(): Rest {
    return this.#end(this.#isBulk() ? 'nap' : 'sleep');
  }

  #end(rest: Rest): Rest {
    this.#hasNapped = rest === 'nap';
    if (!this.#hasNapped) this.#putOffTurns = 0;
    else if (this.#putOffTurns === 0) this.#putOffTurns = PUT_OFF_TURNS;
    this.#sentBeforeRest = this.#surroundings.sentBytes();
    this.#idleTurns = 0;
    return rest;
  }
}
