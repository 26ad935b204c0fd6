// The wire to copy: what the NIC sends comes back. See docs/write-an-uplink.md.

import { BUFFERS, type PairMemory, STAGING, STAGING_SIZE } from './port-memory.ts';
import { alignUp, type FrameList, type Wire } from './wire.ts';

/** Queues frames in the staging area between `send` and `receive`. */
export class LoopbackWire implements Wire {
  // A wire that waits for a descriptor puts it here; this one has none.
  readonly fd = -1;
  isReadable = false;
  failure: string | null = null;
  readonly #bytes: Uint8Array;
  /** Frames are between these offsets: u32 length, then header and frame. */
  #head = STAGING;
  #tail = STAGING;
  readonly #view: DataView;

  constructor(memory: PairMemory) {
    this.#bytes = memory.bytes;
    this.#view = memory.view;
  }

  /** To the NIC: as many frames as there are and as fit. */
  receive(frames: FrameList, from: number, to: number, limit: number): void {
    let at = from;
    while (this.#head < this.#tail && frames.count < limit) {
      const length = this.#view.getUint32(this.#head, true);
      if (at + length > to) return;
      this.#bytes.copyWithin(at, this.#head + 4, this.#head + 4 + length);
      frames.add(at, length, 0);
      at = alignUp(at + length);
      this.#head += 4 + length;
    }
    if (this.#head < this.#tail) return;
    this.#head = STAGING;
    this.#tail = STAGING;
    // Nothing is left: until `send` changes that, the port need not ask.
    this.isReadable = false;
  }

  /** From the NIC. Frames without room wait in the ring: back-pressure, not loss. */
  send(frames: FrameList): number {
    for (let i = 0; i < frames.count; i++) {
      const start = frames.starts[i] ?? 0;
      const length = frames.lengths[i] ?? 0;
      const wrapped = frames.wrapped[i] ?? 0;
      if (this.#tail + 4 + length + wrapped > STAGING + STAGING_SIZE) return i;
      this.#view.setUint32(this.#tail, length + wrapped, true);
      this.#bytes.copyWithin(this.#tail + 4, start, start + length);
      // A frame may wrap around the end of the receive buffers.
      this.#bytes.copyWithin(this.#tail + 4 + length, BUFFERS, BUFFERS + wrapped);
      this.#tail += 4 + length + wrapped;
      this.isReadable = true;
    }
    return frames.count;
  }
}
