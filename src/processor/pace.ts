import { elapsedMicroseconds } from '../os/clock.ts';

// Times are whole microseconds. V8 would put fractions on the heap.

/**
 * The gap between bursts of a busy guest. A shorter spin costs sleeps, a longer one idle CPU time.
 */
const SPIN_MIN = 30;
/** About the cost of a sleep and a wake-up. A longer spin gains nothing. */
const SPIN_MAX = 240;
/**
 * After t µs of work, the processor may spin for t / SPIN_SHARE, at most SPIN_BUSY_MAX. A gap in
 * heavy traffic means that the guest lost its core for a moment. If the switch slept then, the
 * guest's ring would fill up while it wakes.
 */
const SPIN_SHARE = 20;
const SPIN_BUSY_MAX = 1000;
/** Between two checks whether other threads want the core. A check costs 2 µs. */
const CONTEST_LOOK = 10;
/** Until a positive check is repeated. The kernel's own threads are gone after that time. */
const CONTEST_CONFIRM = 5;
/** Score of recent checks at which a core counts as contested, and the highest score. */
const CONTESTED_SCORE = 2;
const CONTEST_SCORE_MAX = 4;
/**
 * Bytes sent since the last rest that make traffic bulk. Less is a request or a response, which a
 * nap would only delay.
 */
const BULK_BYTES = 4096;
/** Turns with work for which senders' interrupts are put off while naps continue. */
const PUT_OFF_TURNS = 8;
/** Turns between two clock readings. Not more, because turns take a while with many rings. */
const CLOCK_TURNS = 16;

/** Less than a guest under TCG needs for one super-frame. */
export const NAP_MICROSECONDS = 60;

/** What the pace must know about the machine and the processor. */
export interface Surroundings {
  /** Microseconds of a monotonic clock, modulo 2^32. */
  now(): number;
  /** Whether more threads want to run than there are cores. */
  isContested(): boolean;
  /** Bytes that guests have sent so far, modulo 2^32. */
  sentBytes(): number;
}

export type Rest = 'look' | 'nap' | 'sleep';

/**
 * What a processor does when it finds no work: it spins for a while, then sleeps. This works like
 * KVM's halt polling. A sleep that ended soon should not have happened, so the next spin is longer;
 * after a long sleep it is short again. If another thread wants the core (probably the guest whose
 * response is awaited), there is hardly any spin.
 *
 * On a contested core with bulk traffic, a short nap is better than a sleep: guests need not kick,
 * and senders get one interrupt for several frames.
 */
export class Pace {
  readonly #surroundings: Surroundings;
  #spinMicroseconds = SPIN_MIN;
  #idleTurns = 0;
  #idleSince = 0;
  #awakeSince: number;
  /** Microseconds since the beginning of the rest. */
  #nextLook = 0;
  /** Goes up with each check that found other threads, and down with each that found none. */
  #contestScore = 0;
  #sentBeforeRest = 0;
  #hasNapped = false;
  #putOffTurns = 0;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.#awakeSince = surroundings.now();
  }

  /** After a turn with work. */
  worked(): void {
    this.#idleTurns = 0;
    if (this.#putOffTurns > 0) this.#putOffTurns -= 1;
  }

  /** True while senders can wait for their interrupts. */
  get putsOff(): boolean {
    return this.#putOffTurns > 0;
  }

  /** After a turn without work. */
  rest(): Rest {
    this.#idleTurns += 1;
    if (this.#idleTurns === 1) this.#begin();
    if (this.#idleTurns % CLOCK_TURNS !== 0) return 'look';
    const idle = elapsedMicroseconds(this.#idleSince, this.#surroundings.now());
    if (idle >= this.#spinLimit()) return this.#end('sleep');
    if (idle < this.#nextLook) return 'look';
    return this.#lookForOthers(idle) ? this.#end(this.#isBulk() ? 'nap' : 'sleep') : 'look';
  }

  /** After a sleep of this length. */
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
    // Bulk traffic on a contested core: every moment of spinning is taken from a guest.
    const isUrgent = mayNap && this.#contestScore >= CONTESTED_SCORE;
    this.#nextLook = isUrgent ? 0 : CONTEST_LOOK;
  }

  /**
   * A single check says little. A kernel thread that runs for a moment must not send a processor to
   * sleep that has its core to itself, and a momentary gap must not make it spin at the guests'
   * expense.
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
