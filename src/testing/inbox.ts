/** Received frames that no test has taken yet. */
export type Backlog = readonly Uint8Array[];

interface Waiter {
  count: number;
  resolve: (frames: Uint8Array[]) => void;
  reject: (error: Error) => void;
}

/** Where received frames wait for a test. */
export class Inbox {
  /** All frames received so far. */
  total = 0;
  readonly #frames: Uint8Array[] = [];
  readonly #waiters: Waiter[] = [];
  readonly #onFrame: ((frame: Uint8Array, pair: number) => void) | undefined;
  #failure: Error | null = null;

  constructor(onFrame?: (frame: Uint8Array, pair: number) => void) {
    this.#onFrame = onFrame;
  }

  get backlog(): Backlog {
    return this.#frames;
  }

  put(frame: Uint8Array, pair: number): void {
    this.total += 1;
    if (this.#onFrame !== undefined) {
      this.#onFrame(frame, pair);
      return;
    }
    this.#frames.push(frame);
    this.#settle();
  }

  async next(): Promise<Uint8Array> {
    const [frame] = await this.take(1);
    if (frame === undefined) throw new Error('assertion: no frame');
    return frame;
  }

  /** The next `count` frames, which leave the backlog. */
  take(count: number): Promise<Uint8Array[]> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ count, resolve, reject });
      this.#settle();
    });
  }

  /** Takes all waiting frames. */
  drain(): Uint8Array[] {
    return this.#frames.splice(0);
  }

  fail(error: Error): void {
    this.#failure ??= error;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  #settle(): void {
    for (;;) {
      const first = this.#waiters[0];
      if (first === undefined || this.#frames.length < first.count) return;
      this.#waiters.shift();
      first.resolve(this.#frames.splice(0, first.count));
    }
  }
}
