import { BackOff } from '../back-off.ts';

/**
 * How long an uplink is held that makes a loop with another: 30 s, and twice as long each time that
 * the loop is there again at once, up to an hour.
 */
export class LoopHold {
  readonly #onEnd: () => void;
  readonly #backOff = new BackOff({ firstMs: 30_000, maxMs: 3_600_000 });
  #timer: NodeJS.Timeout | null = null;
  #milliseconds = 0;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  get isOn(): boolean {
    return this.#timer !== null;
  }

  get seconds(): number {
    return this.#milliseconds / 1000;
  }

  begin(): void {
    if (this.#timer !== null) return;
    this.#milliseconds = this.#backOff.next(performance.now());
    this.#timer = setTimeout(() => this.#end(), this.#milliseconds);
    this.#timer.unref();
  }

  /** The operator or the link has changed something: whatever was, is forgotten. */
  cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#backOff.reset();
  }

  #end(): void {
    this.#timer = null;
    this.#onEnd();
  }
}
