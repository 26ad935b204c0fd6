// Was a window undisturbed? Both sides poll, so whatever they did not get, someone else had.

/** Less than this of its core, and a side was interrupted by more than the kernel's own ticks. */
const undisturbedCores = 0.95;

export function isDisturbed(...cores: readonly number[]): boolean {
  return Math.min(...cores) < undisturbedCores;
}

/** CPU time and wall time between two moments. */
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

  /** CPU seconds per second since the clock was made. */
  cores(): number {
    return (this.#read() - this.#cpuSeconds) / this.elapsedSeconds;
  }
}
