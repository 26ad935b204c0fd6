import { closeSync, openSync } from 'node:fs';
import { cpus } from 'node:os';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';

const SPACE = 0x20;
const SLASH = 0x2f;
const DIGIT_ZERO = 0x30;
const LINE_SIZE = 64;

/**
 * Whether more threads want to run than the machine has processors: `1.00 0.80 0.70 3/412 9731` in
 * proc(5)'s loadavg is three of 412. About 2 µs a look, and no allocation.
 */
export class Load {
  readonly #processorCount: number;
  #file: number;

  /** Opens the file at once: the first look is made by a loop that has frames to move. */
  constructor(path = '/proc/loadavg', processorCount = cpus().length) {
    this.#processorCount = processorCount;
    this.#file = openIfThere(path);
  }

  /** False too where nobody can tell: no /proc. */
  isContested(): boolean {
    if (this.#file < 0) return false;
    const length = c.pread(this.#file, scratch.address, LINE_SIZE, 0);
    return this.#runnable(length) > this.#processorCount;
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }

  /** The number before the slash, this thread among them. */
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
