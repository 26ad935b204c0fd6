import { performance } from 'node:perf_hooks';
import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { c } from '../os/libc.ts';
import { IoVector } from './io-vector.ts';
import { BUFFERS, type PairMemory, STRUCTURES } from './port-memory.ts';
import type { FrameList, Wire } from './wire.ts';
import { Wrapper } from './wrapper.ts';

// An enhanced packet block of pcapng: 28 bytes, the frame, padding, its direction, its length
// again.
const ENHANCED_PACKET = 6;
const HEADER_SIZE = 28;
const OPTION_FLAGS = 2;
const TRAILER_SIZE = 16;
const INBOUND = 1;
const OUTBOUND = 2;

const PARTS = STRUCTURES + 0x18000;
const HEADER = STRUCTURES + 0x18100;
/** At most three bytes of padding, then the trailer at a multiple of 4. */
const TRAILER = STRUCTURES + 0x18200;

/** A wire around another that writes all frames to a file, as tcpdump does. */
export class Tracer extends Wrapper {
  readonly #fileFd: number;
  readonly #memory: PairMemory;
  readonly #parts: IoVector;

  constructor(inner: Wire, fileFd: number, memory: PairMemory) {
    super(inner);
    this.#fileFd = fileFd;
    this.#memory = memory;
    this.#parts = new IoVector(memory, PARTS);
  }

  receive(frames: FrameList, from: number, to: number, limit: number): void {
    this.inner.receive(frames, from, to, limit);
    for (let i = 0; i < frames.count; i++) this.#write(frames, i, INBOUND);
  }

  send(frames: FrameList): number {
    const sent = this.inner.send(frames);
    for (let i = 0; i < sent; i++) this.#write(frames, i, OUTBOUND);
    return sent;
  }

  /** One call per block, so that blocks of several queues do not mix. A full disk loses blocks. */
  #write(frames: FrameList, index: number, direction: number): void {
    const length = (frames.lengths[index] ?? 0) - NET_HEADER_SIZE;
    const wrapped = frames.wrapped[index] ?? 0;
    const padding = -(length + wrapped) & 3;
    const total = HEADER_SIZE + length + wrapped + padding + TRAILER_SIZE;
    this.#describe(length + wrapped, total, direction);
    this.#parts.clear();
    this.#parts.add(HEADER, HEADER_SIZE);
    this.#parts.add((frames.starts[index] ?? 0) + NET_HEADER_SIZE, length);
    if (wrapped > 0) this.#parts.add(BUFFERS, wrapped);
    this.#parts.add(TRAILER - padding, padding + TRAILER_SIZE);
    c.writev(this.#fileFd, this.#parts.address, this.#parts.count);
  }

  #describe(length: number, total: number, direction: number): void {
    const { view } = this.#memory;
    const microseconds = (performance.timeOrigin + performance.now()) * 1000;
    view.setUint32(HEADER, ENHANCED_PACKET, true);
    view.setUint32(HEADER + 4, total, true);
    view.setUint32(HEADER + 8, 0, true); // the only interface
    view.setUint32(HEADER + 12, Math.floor(microseconds / 0x100000000), true);
    view.setUint32(HEADER + 16, microseconds >>> 0, true);
    view.setUint32(HEADER + 20, length, true);
    view.setUint32(HEADER + 24, length, true);
    view.setUint32(TRAILER, OPTION_FLAGS | (4 << 16), true);
    view.setUint32(TRAILER + 4, direction, true);
    view.setUint32(TRAILER + 8, 0, true);
    view.setUint32(TRAILER + 12, total, true);
  }
}
