import { RING_FAULT_NONE } from '../../layout/virtqueue.ts';
import { BackOff, type BackOffState } from '../back-off.ts';
import { later } from '../background.ts';
import type { RingProblem } from '../state/ring-problem.ts';

/** Fewer traps than this within a minute may be bad luck. */
export const TRAPS_MAX = 3;
const PERIOD_MS = 60_000;

const BACK_OFF = { firstMs: 1000, maxMs: 600_000, calmMs: 1_800_000 };

export interface QuarantineTerm {
  seconds: number;
  reason: string;
}

/** Times are relative: ages, or from now. */
export interface QuarantineState {
  trapAgesMs: number[];
  backOff: BackOffState;
  term: { reason: string; endsInMs: number } | null;
}

/** Called with the term when a quarantine begins, and with null when it ends. */
type OnChange = (term: QuarantineTerm | null) => void;

/**
 * Stops a VF whose rings make the firmware trap again and again, because each trap interrupts the
 * other VFs on its processor for a moment. A quarantine outlives connections and resets, which an
 * attacker could cause at will. It ends by itself, and is longer each time.
 */
export class Quarantine {
  readonly #onChange: OnChange;
  #traps: number[] = [];
  readonly #backOff = new BackOff(BACK_OFF);
  #problem: RingProblem | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** When it ends, in monotonic milliseconds. */
  #endsAt = 0;

  constructor(onChange: OnChange) {
    this.#onChange = onChange;
  }

  /** Why no ring of the VF may start, or null. */
  get problem(): RingProblem | null {
    return this.#problem;
  }

  /** A ring of the VF made the firmware trap. `now`: monotonic milliseconds. */
  noteTrap(now: number): void {
    this.#traps = [...this.#traps.filter((at) => now - at < PERIOD_MS), now];
    if (this.#traps.length < TRAPS_MAX || this.#problem !== null) return;
    const milliseconds = this.#backOff.next(now);
    const seconds = milliseconds / 1000;
    const count = `${this.#traps.length} times within a minute`;
    const reason = `in quarantine for ${seconds} s: its rings made the firmware trap ${count}`;
    this.#problem = { fault: RING_FAULT_NONE, reason };
    this.#begin(now, milliseconds);
    this.#onChange({ seconds, reason });
  }

  #begin(now: number, milliseconds: number): void {
    this.#endsAt = now + milliseconds;
    this.#startTimer(milliseconds);
  }

  #startTimer(milliseconds: number): void {
    this.#timer = later('end a quarantine', Math.max(0, milliseconds), () => this.end());
    this.#timer.unref();
  }

  save(now: number): QuarantineState {
    const term = this.#problem && { reason: this.#problem.reason, endsInMs: this.#endsAt - now };
    return {
      trapAgesMs: this.#traps.map((at) => now - at),
      backOff: this.#backOff.save(now),
      term,
    };
  }

  /** `whenOpen`: when the timer may start. Traps are counted before that, too. */
  restore(
    { trapAgesMs, backOff, term }: QuarantineState,
    now: number,
    whenOpen: (work: () => void) => void,
  ): void {
    this.#traps = trapAgesMs.map((age) => now - age);
    this.#backOff.restore(backOff, now);
    if (term === null) return;
    this.#problem = { fault: RING_FAULT_NONE, reason: term.reason };
    this.#endsAt = now + term.endsInMs;
    whenOpen(() => {
      if (this.#problem !== null) this.#startTimer(term.endsInMs);
    });
  }

  /** A successor, created from what this one saved, will end it. */
  handOver(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** The operator has changed the VF, so the cause may be gone. */
  forgive(): void {
    this.#traps = [];
    this.#backOff.reset();
    this.end();
  }

  end(): void {
    if (this.#problem === null) return;
    this.close();
    this.#onChange(null);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#problem = null;
  }
}
