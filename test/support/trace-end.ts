import { readFileSync } from 'node:fs';
import type { FarEnd } from './far-end.ts';

const ENHANCED_PACKET = 6;
/** Type and length. */
const BLOCK_HEADER_SIZE = 8;
const HEADER_SIZE = 28;
const TRAILER_SIZE = 16;
const OUTBOUND = 2;
const LOOK_MILLISECONDS = 1;

/**
 * What an uplink sends whose world is nowhere: read from the trace that the NIC writes of it.
 * Nothing can be sent from there.
 */
export class TraceEnd implements FarEnd {
  readonly frames: Uint8Array[] = [];
  readonly #file: string;
  readonly #timer: NodeJS.Timeout;
  #seen = 0;

  constructor(file: string) {
    this.#file = file;
    this.#timer = setInterval(() => this.#read(), LOOK_MILLISECONDS);
  }

  send(): boolean {
    throw new Error('nothing comes from there');
  }

  setReading(): void {}

  close(): void {
    clearInterval(this.#timer);
  }

  /**
   * A block is written in one call, but where that crosses a page, the file grows in between: what
   * is not there as a whole is read the next time.
   */
  #read(): void {
    const file = readFileSync(this.#file);
    while (this.#seen + BLOCK_HEADER_SIZE <= file.length) {
      const total = file.readUInt32LE(this.#seen + 4);
      if (this.#seen + total > file.length) return;
      const block = file.subarray(this.#seen, this.#seen + total);
      this.#seen += total;
      if (block.readUInt32LE(0) !== ENHANCED_PACKET) continue;
      const direction = block.readUInt32LE(total - TRAILER_SIZE + 4);
      if (direction !== OUTBOUND) continue;
      const length = block.readUInt32LE(20);
      this.frames.push(new Uint8Array(block.subarray(HEADER_SIZE, HEADER_SIZE + length)));
    }
  }
}
