import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { EAGAIN, EINTR, EINVAL, EIO, EMSGSIZE, ENOBUFS, ENOMEM } from '../os/constants.ts';
import { c, errno } from '../os/libc.ts';
import { errorName } from '../os/system-error.ts';
import { IoVector } from './io-vector.ts';
import { BUFFERS, FRAME_ROOM, type PairMemory, STRUCTURES } from './port-memory.ts';
import { alignUp, countRefused, type FrameList, type Wire } from './wire.ts';

/**
 * A queue of a TAP: one frame per call, the only way the device offers. Its header has the layout
 * of virtio-net's, so frames move between it and the rings' memory unchanged.
 */
export class TapWire implements Wire {
  readonly fd: number;
  isReadable = true;
  failure: string | null = null;
  /** A TAP accepts whatever it is sent. */
  readonly lendableBytes = 0xffff_ffff;
  readonly #memory: PairMemory;
  readonly #parts: IoVector;

  constructor(fd: number, memory: PairMemory) {
    this.fd = fd;
    this.#memory = memory;
    this.#parts = new IoVector(memory, STRUCTURES);
  }

  receive(frames: FrameList, from: number, to: number, limit: number): void {
    let at = from;
    while (frames.count < limit && at + FRAME_ROOM <= to) {
      const length = c.read(this.fd, this.#memory.address + at, FRAME_ROOM);
      if (length <= 0) {
        this.isReadable = false;
        this.#judge(length === 0 ? 0 : errno());
        return;
      }
      frames.add(at, length, 0);
      at = alignUp(at + length);
    }
  }

  /** The host's network stack runs within the call, so its answer is often there on return. */
  send(frames: FrameList): number {
    this.isReadable = true;
    for (let i = 0; i < frames.count; i++) {
      if (this.#write(frames, i) !== -1) continue;
      const error = errno();
      if (error === EAGAIN || error === EINTR) return i;
      // The interface is down, short of memory, or refuses this frame; the next may pass.
      if ([EIO, EINVAL, EMSGSIZE, ENOBUFS, ENOMEM].includes(error)) {
        const wrapped = frames.wrapped[i] ?? 0;
        const size = (frames.lengths[i] ?? 0) + wrapped - NET_HEADER_SIZE;
        countRefused(this.#memory.counters, size);
      } else {
        this.#judge(error);
        return i;
      }
    }
    return frames.count;
  }

  #write(frames: FrameList, index: number): number {
    const { address } = this.#memory;
    const start = frames.starts[index] ?? 0;
    const length = frames.lengths[index] ?? 0;
    const wrapped = frames.wrapped[index] ?? 0;
    const pieces = frames.pieces[index] ?? 0;
    if (wrapped + pieces === 0) return c.write(this.fd, address + start, length);
    this.#parts.clear();
    if (pieces > 0) {
      this.#parts.add(start, NET_HEADER_SIZE);
      this.#parts.addPieces(start + NET_HEADER_SIZE, pieces);
    } else {
      this.#parts.add(start, length);
      this.#parts.add(BUFFERS, wrapped);
    }
    return c.writev(this.fd, this.#parts.address, this.#parts.count);
  }

  /** EBADFD (77) or EFAULT: the device behind the descriptor is gone. */
  #judge(error: number): void {
    if (error === EAGAIN || error === EINTR || error === EIO) return;
    this.failure =
      error === 0 ? 'the device was closed' : `the device is gone (${errorName(error)})`;
  }
}

if (NET_HEADER_SIZE !== 12) throw new Error('assertion: the TAP header has 12 bytes');
