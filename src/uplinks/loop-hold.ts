const SECONDS_MIN = 30;
const SECONDS_MAX = 3600;

/**
 * How long an uplink is held that makes a loop with another: 30 s, and twice as long each time that
 * the loop is there again at once, up to an hour.
 */
export class LoopHold {
  readonly #onEnd: () => void;
  #timer: NodeJS.Timeout | null = null;
  #seconds = SECONDS_MIN;
  #endedAt = Number.NEGATIVE_INFINITY;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  get isOn(): boolean {
    return this.#timer !== null;
  }

  get seconds(): number {
    return this.#seconds;
  }

  begin(): void {
    if (this.#timer !== null) return;
    // Free for longer than it was held: that was another loop.
    const isNew = performance.now() - this.#endedAt > this.#seconds * 1000;
    this.#seconds = isNew ? SECONDS_MIN : Math.min(this.#seconds * 2, SECONDS_MAX);
    this.#timer = setTimeout(() => this.#end(), this.#seconds * 1000);
    this.#timer.unref();
  }

  /** The operator or the link has changed something: whatever was, is forgotten. */
  cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#endedAt = Number.NEGATIVE_INFINITY;
  }

  #end(): void {
    this.#timer = null;
    this.#endedAt = performance.now();
    this.#onEnd();
  }
}
