// Was a window undisturbed? Both sides poll, so CPU time that they lack went to somebody else.

/** With less than this of its core, a side was interrupted by more than the kernel's ticks. */
const undisturbedCores = 0.95;

export function isDisturbed(...cores: readonly number[]): boolean {
  return Math.min(...cores) < undisturbedCores;
}

/** CPU time and wall time since a point in time. */
export class CoreClock {
  readonly #read: () => number;
  readonly #cpuSeconds: number;
  readonly #started = performance.now();

  constructor(read: () => number) {
    this.#read = read;
    this.#cpuSeconds = read();
  }

  get elapsedSeconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /** CPU seconds per second since the clock was created. */
  cores(): number {
    return (this.#read() - this.#cpuSeconds) / this.elapsedSeconds;
  }
}
