import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Arrivals } from './arrivals.ts';
import type { FarEnd } from './far-end.ts';

const ENHANCED_PACKET = 6;
/** Block type and length. */
const BLOCK_HEADER_SIZE = 8;
const HEADER_SIZE = 28;
const TRAILER_SIZE = 16;
const OUTBOUND = 2;
const LOOK_MILLISECONDS = 1;

/**
 * The frames that an uplink without a network sends, read from the NIC's trace. Nothing can be sent
 * to it.
 */
export class TraceEnd implements FarEnd {
  readonly #arrivals = new Arrivals();
  readonly #file: number;
  readonly #timer: NodeJS.Timeout;
  #seen = 0; // bytes of the file

  constructor(file: string) {
    this.#file = openSync(file, 'r');
    this.#timer = setInterval(() => this.#read(), LOOK_MILLISECONDS);
  }

  get frames(): Uint8Array[] {
    return this.#arrivals.frames;
  }

  arrived(count: number): Promise<void> {
    return this.#arrivals.wait(count);
  }

  send(): boolean {
    throw new Error('nothing can be sent');
  }

  setReading(): void {}

  close(): void {
    clearInterval(this.#timer);
    closeSync(this.#file);
  }

  /**
   * Each block is written with one call, but at a page boundary the file grows in two steps. An
   * incomplete block is read the next time.
   */
  #read(): void {
    const fresh = Buffer.alloc(fstatSync(this.#file).size - this.#seen);
    const bytes = fresh.subarray(0, readSync(this.#file, fresh, 0, fresh.length, this.#seen));
    for (let at = 0; at + BLOCK_HEADER_SIZE <= bytes.length; ) {
      const total = bytes.readUInt32LE(at + 4);
      if (at + total > bytes.length) break;
      const block = bytes.subarray(at, at + total);
      at += total;
      this.#seen += total;
      if (block.readUInt32LE(0) !== ENHANCED_PACKET) continue;
      const direction = block.readUInt32LE(total - TRAILER_SIZE + 4);
      if (direction !== OUTBOUND) continue;
      const length = block.readUInt32LE(20);
      this.frames.push(new Uint8Array(block.subarray(HEADER_SIZE, HEADER_SIZE + length)));
    }
    this.#arrivals.tell();
  }
}
