/** Frames that have arrived at the far end of a wire, and the caller that waits for them. */
export class Arrivals {
  readonly frames: Uint8Array[] = [];
  #count = 0;
  #resolve: (() => void) | null = null;

  /** To be called after frames have been added. */
  tell(): void {
    if (this.frames.length < this.#count) return;
    this.#resolve?.();
    this.#resolve = null;
  }

  /** Resolves when there are `count` frames. Only the last waiter is notified. */
  wait(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#count = count;
      this.#resolve = resolve;
      this.tell();
    });
  }
}
