import { closeSync, openSync, readSync } from 'node:fs';
import { cpus } from 'node:os';

const SPACE = 0x20;
const SLASH = 0x2f;
const DIGIT_ZERO = 0x30;

/**
 * Whether more threads want to run than the machine has processors: `1.00 0.80 0.70 3/412 9731` in
 * proc(5)'s loadavg is three of 412. About 2 µs a look; allocates nothing that lasts.
 */
export class Load {
  readonly #path: string;
  readonly #processorCount: number;
  readonly #line = new Uint8Array(64);
  #file = -1;

  constructor(path = '/proc/loadavg', processorCount = cpus().length) {
    this.#path = path;
    this.#processorCount = processorCount;
  }

  /** False too where nobody can tell: no /proc. */
  isContested(): boolean {
    if (this.#file < 0 && !this.#open()) return false;
    const length = readSync(this.#file, this.#line, 0, this.#line.length, 0);
    return this.#runnable(length) > this.#processorCount;
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }

  #open(): boolean {
    try {
      this.#file = openSync(this.#path, 'r');
      return true;
    } catch {
      return false;
    }
  }

  /** The number before the slash, this thread among them. */
  #runnable(length: number): number {
    let count = 0;
    for (let i = 0; i < length; i++) {
      const byte = this.#line[i] ?? 0;
      if (byte === SLASH) return count;
      count = byte === SPACE ? 0 : count * 10 + byte - DIGIT_ZERO;
    }
    return 0;
  }
}
