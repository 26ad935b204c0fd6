import { elapsedMicroseconds } from '../os/clock.ts';

// Times are whole microseconds: fractions would be put on the heap.

/** What a busy guest takes between bursts. Less costs sleeps, more idle CPU time. */
const SPIN_MIN = 30;
/** About what it costs to sleep and be woken: nothing is gained by looking for longer. */
const SPIN_MAX = 240;
/**
 * Whoever was busy for long may look for longer, one part in so many of that time, up to a
 * millisecond: a gap in heavy traffic is a guest whose core was away for a moment, and a switch
 * that sleeps then fills the guest's ring while it is woken.
 */
const SPIN_SHARE = 20;
const SPIN_BUSY_MAX = 1000;
/** Between two looks at whether others want the core: 2 µs each. */
const CONTEST_LOOK = 10;
/** Until a look that found others is confirmed: the kernel's own threads are gone. */
const CONTEST_CONFIRM = 5;
/** Looks of late that found others: so many make a core contested, and more are not remembered. */
const CONTESTED_SCORE = 2;
const CONTEST_SCORE_MAX = 4;
/** Bytes since the last rest: less is a question or an answer, which a nap would only delay. */
const BULK_BYTES = 4096;
/** Turns with work whose senders hear of it later, while naps go on. */
const PUT_OFF_TURNS = 8;
/** Turns between two looks at the clock: with many rings each takes a while. */
const CLOCK_TURNS = 16;

/** Less than a guest under TCG takes for a super-frame. */
export const NAP_MICROSECONDS = 60;

/** What a pace must know of the machine and the processor. */
export interface Surroundings {
  /** Microseconds of a monotonic clock, modulo 2^32. */
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
  #spinMicroseconds = SPIN_MIN;
  #idleTurns = 0;
  #idleSince = 0;
  #awakeSince: number;
  /** Microseconds from the beginning of the rest. */
  #nextLook = 0;
  /** Up with each look that found others, down with each that found nobody. */
  #contestScore = 0;
  #sentBeforeRest = 0;
  #hasNapped = false;
  #putOffTurns = 0;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.#awakeSince = surroundings.now();
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
    const idle = elapsedMicroseconds(this.#idleSince, this.#surroundings.now());
    if (idle >= this.#spinLimit()) return this.#end('sleep');
    if (idle < this.#nextLook) return 'look';
    return this.#lookForOthers(idle) ? this.#end(this.#isBulk() ? 'nap' : 'sleep') : 'look';
  }

  /** After a sleep of so many microseconds. */
  slept(microseconds: number): void {
    const factor = microseconds < SPIN_MAX ? 2 : 0.5;
    const wanted = this.#spinMicroseconds * factor;
    this.#spinMicroseconds = Math.min(Math.max(wanted, SPIN_MIN), SPIN_MAX);
    this.#awakeSince = this.#surroundings.now();
  }

  #spinLimit(): number {
    const busy = elapsedMicroseconds(this.#awakeSince, this.#idleSince);
    const earned = Math.floor(busy / SPIN_SHARE);
    return Math.max(this.#spinMicroseconds, Math.min(earned, SPIN_BUSY_MAX));
  }

  #begin(): void {
    this.#idleSince = this.#surroundings.now();
    const mayNap = this.#hasNapped || this.#isBulk();
    // Bulk traffic on a contested core: every moment of looking is taken from a guest.
    const isUrgent = mayNap && this.#contestScore >= CONTESTED_SCORE;
    this.#nextLook = isUrgent ? 0 : CONTEST_LOOK;
  }

  /**
   * One look alone says little: a thread of the kernel that ran for a moment must not send a
   * processor to sleep that has its core for itself, nor its absence keep guests waiting.
   */
  #lookForOthers(idle: number): boolean {
    const isContested = this.#surroundings.isContested();
    const score = this.#contestScore + (isContested ? 1 : -1);
    this.#contestScore = Math.min(Math.max(score, 0), CONTEST_SCORE_MAX);
    this.#nextLook = idle + (isContested ? CONTEST_CONFIRM : CONTEST_LOOK);
    return this.#contestScore >= CONTESTED_SCORE;
  }

  #isBulk(): boolean {
    return (this.#surroundings.sentBytes() - this.#sentBeforeRest) >>> 0 >= BULK_BYTES;
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
