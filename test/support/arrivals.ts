/** Frames that have come to the far end of a wire, and who waits for them. */
export class Arrivals {
  readonly frames: Uint8Array[] = [];
  #count = 0;
  #resolve: (() => void) | null = null;

  /** To be called when frames have been added. */
  tell(): void {
    if (this.frames.length < this.#count) return;
    this.#resolve?.();
    this.#resolve = null;
  }

  /** Resolves when `count` frames lie there. Only the last who waits is told. */
  wait(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#count = count;
      this.#resolve = resolve;
      this.tell();
    });
  }
}
