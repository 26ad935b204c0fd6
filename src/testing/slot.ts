import type { GuestMemory, Span } from './guest-memory.ts';
import type { Random } from './random.ts';

/** Most pieces of a slot. */
export const SLOT_PIECES_MAX = 8;
const SLOT_GAP_MAX = 24;

/**
 * How header and frame are laid out in a buffer (ANY_LAYOUT, virtio 1.3, 5.1.6.5). shared: one
 * descriptor; separate: the header has its own; split: both are cut at random places.
 */
export type Layout = 'shared' | 'separate' | 'split' | 'random';

const LAYOUTS = ['shared', 'separate', 'split'] as const;

/**
 * A buffer of guest memory, cut into pieces with random gaps between them, so that reading past the
 * end of a descriptor is detected. The gaps are filled with a canary.
 *
 *   slot: ▒▒[header]▒▒▒▒▒[frame……]▒[……frame]▒▒▒
 */
export class Slot {
  readonly span: Span;
  readonly bytes: Uint8Array;
  readonly pieceStart = new Uint32Array(SLOT_PIECES_MAX);
  readonly pieceLength = new Uint32Array(SLOT_PIECES_MAX);
  pieceCount = 0;

  constructor(memory: GuestMemory, length: number) {
    this.span = memory.allocate(length + SLOT_PIECES_MAX * SLOT_GAP_MAX);
    const { offset } = this.span;
    this.bytes = memory.bytes.subarray(offset, offset + this.span.length);
  }

  /** Places `headerSize` bytes and then `length` bytes. */
  cut(layout: Layout, headerSize: number, length: number, random: Random): void {
    const chosen = layout === 'random' ? random.pick(LAYOUTS) : layout;
    this.pieceCount = 0;
    if (chosen === 'shared') {
      this.#place(headerSize + length, random);
    } else if (chosen === 'separate') {
      this.#place(headerSize, random);
      if (length > 0) this.#place(length, random);
    } else {
      this.#split(headerSize, random.between(1, 2), random);
      this.#split(length, random.between(1, 5), random);
    }
  }

  /** The end of the last piece, where the next one may start. */
  get #end(): number {
    const last = this.pieceCount - 1;
    if (last < 0) return 0;
    return (this.pieceStart[last] as number) + (this.pieceLength[last] as number);
  }

  #place(length: number, random: Random): void {
    const gap = random.below(SLOT_GAP_MAX);
    const start = this.#end + gap;
    this.pieceStart[this.pieceCount] = start;
    this.pieceLength[this.pieceCount] = length;
    this.pieceCount += 1;
  }

  #split(length: number, pieces: number, random: Random): void {
    let left = length;
    for (let i = 1; i < pieces && left > 1; i++) {
      const part = random.between(1, left - 1);
      this.#place(part, random);
      left -= part;
    }
    if (left > 0) this.#place(left, random);
  }

  /** Writes `source` over the pieces, from their byte `skip` on. */
  write(source: Uint8Array, skip: number): void {
    this.#each(skip, source.length, (at, done, length) => {
      this.bytes.set(source.subarray(done, done + length), at);
    });
  }

  /** Reads the pieces, from their byte `skip` on, into `target`. */
  read(target: Uint8Array, skip: number): void {
    this.#each(skip, target.length, (at, done, length) => {
      target.set(this.bytes.subarray(at, at + length), done);
    });
  }

  fill(value: number, length: number): void {
    this.#each(0, length, (at, _done, piece) => {
      this.bytes.fill(value, at, at + piece);
    });
  }

  #each(skip: number, length: number, act: (at: number, done: number, n: number) => void): void {
    let passed = 0;
    let done = 0;
    for (let i = 0; i < this.pieceCount && done < length; i++) {
      const size = this.pieceLength[i] as number;
      const first = Math.max(skip - passed, 0);
      passed += size;
      if (first >= size) continue;
      const piece = Math.min(size - first, length - done);
      act((this.pieceStart[i] as number) + first, done, piece);
      done += piece;
    }
    if (done < length) throw new Error(`assertion: ${length} bytes do not fit in the pieces`);
  }
}
