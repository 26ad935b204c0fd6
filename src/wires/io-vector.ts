import type { PairMemory } from './port-memory.ts';

const ENTRY_WORDS = 4;

/** An array of struct iovec in a port's memory, filled with offsets into that memory. */
export class IoVector {
  readonly address: number;
  count = 0;
  readonly #memory: PairMemory;
  readonly #first: number;

  constructor(memory: PairMemory, offset: number) {
    this.#memory = memory;
    this.address = memory.address + offset;
    this.#first = offset / 4;
  }

  /** Absolute address of the next entry to be added. */
  get nextAddress(): number {
    return this.address + this.count * ENTRY_WORDS * 4;
  }

  clear(): void {
    this.count = 0;
  }

  /** Returns the absolute address of the entry. */
  add(offset: number, length: number): number {
    const entry = this.#first + this.count * ENTRY_WORDS;
    putAddress(this.#memory.words, entry, this.#memory.address + offset);
    putAddress(this.#memory.words, entry + 2, length);
    const address = this.nextAddress;
    this.count += 1;
    return address;
  }

  /** Adds the pieces of a lent frame, from their list in the port's memory. */
  addPieces(list: number, count: number): void {
    const { words, start } = this.#memory;
    for (let i = 0; i < count; i++) {
      const piece = (list + i * 8) / 4;
      // Their addresses are linear; relative to this memory's start they are offsets.
      this.add((words[piece] ?? 0) - start, words[piece + 1] ?? 0);
    }
  }
}

/** Stores a 64-bit number below 2^53 as two words; a bigint would be allocated. */
export function putAddress(words: Uint32Array, at: number, value: number): void {
  words[at] = value >>> 0;
  words[at + 1] = Math.floor(value / 0x100000000);
}

/** Reads what `putAddress` stored. */
export function takeAddress(words: Uint32Array, at: number): number {
  return (words[at] ?? 0) + (words[at + 1] ?? 0) * 0x100000000;
}
