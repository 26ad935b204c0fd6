import { c } from './libc.ts';

const SIZE_BYTES = 32768;

/**
 * Memory at a known address for structures that C reads. Unlike a `LinearMemory` it cannot be
 * mapped over, and needs no 8 GiB of guard addresses.
 */
export class NativePage {
  readonly #buffer = new ArrayBuffer(SIZE_BYTES);
  readonly view = new DataView(this.#buffer);
  /** A call that only returns its pointer. The memory never moves. */
  readonly address = c.memset(new Uint8Array(this.#buffer), 0, SIZE_BYTES);
}
