import { BackOff, type BackOffState } from '../back-off.ts';
import { later } from '../background.ts';

export interface LoopHoldState {
  milliseconds: number;
  /** Of the current hold. */
  endsInMs: number | null;
  backOff: BackOffState;
}

/**
 * How long an uplink that makes a loop with another is held: 30 s, and twice as long each time that
 * the loop reappears at once, up to an hour.
 */
export class LoopHold {
  readonly #onEnd: () => void;
  readonly #backOff = new BackOff({ firstMs: 30_000, maxMs: 3_600_000 });
  #timer: NodeJS.Timeout | undefined;
  #milliseconds = 0;
  /** In monotonic milliseconds; null: none is on. */
  #endsAt: number | null = null;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  get isOn(): boolean {
    return this.#endsAt !== null;
  }

  get seconds(): number {
    return this.#milliseconds / 1000;
  }

  begin(): void {
    if (this.isOn) return;
    const now = performance.now();
    this.#milliseconds = this.#backOff.next(now);
    this.#wait(now, this.#milliseconds);
  }

  #wait(now: number, milliseconds: number): void {
    this.#endsAt = now + milliseconds;
    this.#startTimer(milliseconds);
  }

  #startTimer(milliseconds: number): void {
    this.#timer = later('release a held link', Math.max(0, milliseconds), () => this.#end());
    this.#timer.unref();
  }

  save(now: number): LoopHoldState {
    const endsInMs = this.#endsAt === null ? null : this.#endsAt - now;
    return { milliseconds: this.#milliseconds, endsInMs, backOff: this.#backOff.save(now) };
  }

  /** `whenOpen`: when the timer may start. */
  restore(
    { milliseconds, endsInMs, backOff }: LoopHoldState,
    now: number,
    whenOpen: (work: () => void) => void,
  ): void {
    this.#milliseconds = milliseconds;
    this.#backOff.restore(backOff, now);
    if (endsInMs === null) return;
    this.#endsAt = now + endsInMs;
    whenOpen(() => {
      if (this.isOn) this.#startTimer(endsInMs);
    });
  }

  /** A successor, created from what this one saved, will end it. */
  handOver(): void {
    clearTimeout(this.#timer);
  }

  /** The operator or the link has changed something: starts from the beginning. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#endsAt = null;
    this.#backOff.reset();
  }

  #end(): void {
    this.#endsAt = null;
    this.#onEnd();
  }
}
