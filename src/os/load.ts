import { closeSync, openSync } from 'node:fs';
import { cpus } from 'node:os';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';

const SPACE = 0x20;
const SLASH = 0x2f;
const DIGIT_ZERO = 0x30;
const LINE_SIZE = 64;

/**
 * Whether more threads want to run than the machine has processors. In proc(5)'s loadavg, `1.00
 * 0.80 0.70 3/412 9731` means three of 412 threads. About 2 µs per reading, without allocation.
 */
export class Load {
  readonly #processorCount: number;
  #file: number;

  /** Opens the file at once, since the first reading happens in a loop that moves frames. */
  constructor(path = '/proc/loadavg', processorCount = cpus().length) {
    this.#processorCount = processorCount;
    this.#file = openIfThere(path);
  }

  /** Also false if the load is unknown: no /proc. */
  isContested(): boolean {
    if (this.#file < 0) return false;
    const length = c.pread(this.#file, scratch.address, LINE_SIZE, 0);
    return this.#runnable(length) > this.#processorCount;
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }

  /** The number before the slash; it includes this thread. */
  #runnable(length: number): number {
    let count = 0;
    for (let i = 0; i < length; i++) {
      const byte = scratch.bytes[i] ?? 0;
      if (byte === SLASH) return count;
      count = byte === SPACE ? 0 : count * 10 + byte - DIGIT_ZERO;
    }
    return 0;
  }
}

function openIfThere(path: string): number {
  try {
    return openSync(path, 'r');
  } catch {
    return -1;
  }
}
