import { RING_FAULT_NONE } from '../../layout/virtqueue.ts';
import type { RingProblem } from '../virtqueue/ring-problem.ts';

/** Fewer traps than these within a minute may be bad luck. */
export const TRAPS_MAX = 3;
const PERIOD_MS = 60_000;

/** The first hold; each further one takes twice as long. */
const HOLD_FIRST_MS = 1000;
const HOLD_MAX_MS = 600_000;

/** After so long without a trap, the next hold is a first one again. */
const CALM_MS = 1_800_000;

export interface Hold {
  seconds: number;
  reason: string;
}

/** A hold begins, or (null) it is over. */
type OnChange = (hold: Hold | null) => void;

/**
 * Holds a VF whose rings make the firmware trap again and again: each trap costs the others on its
 * processor a moment. A hold outlives connections and resets, since whoever is held would choose
 * those; it ends by itself, and is longer the next time.
 */
export class Quarantine {
  readonly #onChange: OnChange;
  #traps: number[] = [];
  #holds = 0;
  #problem: RingProblem | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(onChange: OnChange) {
    this.#onChange = onChange;
  }

  /** Why no ring of the VF may start, or null. */
  get problem(): RingProblem | null {
    return this.#problem;
  }

  /** A ring of the VF made the firmware trap. `now`: monotonic milliseconds. */
  noteTrap(now: number): void {
    if (now - (this.#traps.at(-1) ?? now) > CALM_MS) this.#holds = 0;
    this.#traps = [...this.#traps.filter((at) => now - at < PERIOD_MS), now];
    if (this.#traps.length < TRAPS_MAX || this.#problem !== null) return;
    const milliseconds = Math.min(HOLD_FIRST_MS * 2 ** this.#holds, HOLD_MAX_MS);
    this.#holds += 1;
    const seconds = milliseconds / 1000;
    const count = `${this.#traps.length} times within a minute`;
    const reason = `held for ${seconds} s: its rings made the firmware trap ${count}`;
    this.#problem = { fault: RING_FAULT_NONE, reason };
    this.#timer = setTimeout(() => this.release(), milliseconds);
    this.#timer.unref();
    this.#onChange({ seconds, reason });
  }

  /** The operator has changed the VF: whatever was, may be mended. */
  forgive(): void {
    this.#traps = [];
    this.#holds = 0;
    this.release();
  }

  release(): void {
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
