// A byte stream of frames, each after its length (u32, big-endian): QEMU's -netdev stream, passt.
//
//   sending      length (in an array of its own), frame (in place): one call for a burst
//   receiving    read in large pieces into the staging area and copied from there: a frame needs
//                its header before it, where the stream has the end of another frame
//
// Both positions are in the port's memory, with the connection they belong to: a new processor
// continues in the middle of a frame.

import { FRAME_SIZE_MAX } from '../../layout/limits.ts';
import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { EAGAIN, EINTR, MSG_DONTWAIT, MSG_NOSIGNAL } from '../os/constants.ts';
import { c, errno } from '../os/libc.ts';
import { errorName } from '../os/system-error.ts';
import { IoVector, putAddress } from './io-vector.ts';
import {
  BUFFERS,
  type PairMemory,
  STAGING,
  STAGING_SIZE,
  STREAM_CONNECTION,
  STREAM_HEAD,
  STREAM_PARTIAL,
  STREAM_TAIL,
  STRUCTURES,
  WIRE_MALFORMED,
} from './port-memory.ts';
import { alignUp, type FrameList, type Wire } from './wire.ts';

const PREFIX_SIZE = 4;
const STAGING_END = STAGING + STAGING_SIZE;

// struct msghdr, then the parts.
const MESSAGE_PARTS = 16;
const MESSAGE_PARTS_COUNT = 24;
const PARTS = STRUCTURES + 64;
const PREFIXES = STRUCTURES + 0x2000;

/** Value of STREAM_PARTIAL: the rest of a frame that was partly sent is lost. */
const CUT_OFF = 0xffff_ffff;

export class StreamWire implements Wire {
  readonly fd: number;
  isReadable = true;
  failure: string | null = null;
  readonly #memory: PairMemory;
  readonly #parts: IoVector;

  constructor(fd: number, connection: number, memory: PairMemory) {
    this.fd = fd;
    this.#memory = memory;
    this.#parts = new IoVector(memory, PARTS);
    memory.bytes.fill(0, STRUCTURES, PARTS);
    if (memory.words[STREAM_CONNECTION / 4] !== connection) {
      memory.words[STREAM_CONNECTION / 4] = connection;
      this.#head = STAGING;
      this.#tail = STAGING;
      this.#partial = 0;
    } else if (this.#partial === CUT_OFF) this.failure = 'a frame was cut off';
  }

  /** The range that was read and not yet taken. */
  get #head(): number {
    return this.#memory.words[STREAM_HEAD / 4] ?? 0;
  }

  set #head(offset: number) {
    this.#memory.words[STREAM_HEAD / 4] = offset;
  }

  get #tail(): number {
    return this.#memory.words[STREAM_TAIL / 4] ?? 0;
  }

  set #tail(offset: number) {
    this.#memory.words[STREAM_TAIL / 4] = offset;
  }

  /** Bytes of the first frame to be sent, including its prefix, that are already gone. */
  get #partial(): number {
    return this.#memory.words[STREAM_PARTIAL / 4] ?? 0;
  }

  set #partial(bytes: number) {
    this.#memory.words[STREAM_PARTIAL / 4] = bytes;
  }

  /**
   * The port has discarded what waited: a frame that was partly sent can no longer be completed.
   */
  close(): void {
    if (this.#partial > 0) this.#partial = CUT_OFF;
  }

  receive(frames: FrameList, from: number, to: number, limit: number): void {
    let at = from;
    while (frames.count < limit) {
      const length = this.#nextLength();
      if (length < 0) {
        if (this.failure !== null || !this.#read()) return;
        continue;
      }
      const end = at + NET_HEADER_SIZE + length;
      if (end > to) return;
      const { bytes } = this.#memory;
      bytes.fill(0, at, at + NET_HEADER_SIZE);
      const start = this.#head + PREFIX_SIZE;
      bytes.copyWithin(at + NET_HEADER_SIZE, start, start + length);
      this.#head = start + length;
      frames.add(at, NET_HEADER_SIZE + length, 0);
      at = alignUp(end);
    }
  }

  send(frames: FrameList): number {
    this.#describe(frames);
    const { words, address } = this.#memory;
    putAddress(words, (STRUCTURES + MESSAGE_PARTS) / 4, this.#parts.address);
    putAddress(words, (STRUCTURES + MESSAGE_PARTS_COUNT) / 4, this.#parts.count);
    const sent = c.sendmsg(this.fd, address + STRUCTURES, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent === -1) {
      const error = errno();
      if (error !== EAGAIN && error !== EINTR) {
        this.failure = `the peer is gone (${errorName(error)})`;
      }
      return 0;
    }
    return this.#settle(frames, sent + this.#partial);
  }

  /** The length of the frame that is complete in the staging area; −1 if there is none. */
  #nextLength(): number {
    const there = this.#tail - this.#head;
    if (there < PREFIX_SIZE) return -1;
    const length = this.#memory.view.getUint32(this.#head);
    if (length > FRAME_SIZE_MAX) {
      // Whatever this is, the start of the next frame cannot be found.
      const { counters } = this.#memory;
      counters[WIRE_MALFORMED] = (counters[WIRE_MALFORMED] ?? 0) + 1;
      this.failure = `the peer sent a frame of ${length} bytes`;
      return -1;
    }
    return there < PREFIX_SIZE + length ? -1 : length;
  }

  /** Reads more. False if nothing is available now, or the stream has ended. */
  #read(): boolean {
    const { bytes, address } = this.#memory;
    bytes.copyWithin(STAGING, this.#head, this.#tail);
    this.#tail -= this.#head - STAGING;
    this.#head = STAGING;
    const room = STAGING_END - this.#tail;
    const length = c.recv(this.fd, address + this.#tail, room, MSG_DONTWAIT);
    if (length > 0) {
      this.#tail += length;
      return true;
    }
    this.isReadable = false;
    const error = length === 0 ? 0 : errno();
    if (error === 0) this.failure = 'the peer closed the connection';
    else if (error !== EAGAIN && error !== EINTR) {
      this.failure = `the peer is gone (${errorName(error)})`;
    }
    return false;
  }

  #describe(frames: FrameList): void {
    this.#parts.clear();
    let skip = this.#partial;
    for (let i = 0; i < frames.count; i++) {
      const start = (frames.starts[i] ?? 0) + NET_HEADER_SIZE;
      const length = (frames.lengths[i] ?? 0) - NET_HEADER_SIZE;
      const wrapped = frames.wrapped[i] ?? 0;
      const prefix = PREFIXES + i * PREFIX_SIZE;
      this.#memory.view.setUint32(prefix, length + wrapped);
      skip = this.#addPart(prefix, PREFIX_SIZE, skip);
      skip = this.#addPart(start, length, skip);
      skip = this.#addPart(BUFFERS, wrapped, skip);
    }
  }

  /** Adds the part that is not gone yet; returns how much of what follows is gone. */
  #addPart(offset: number, length: number, skip: number): number {
    if (skip < length) this.#parts.add(offset + skip, length - skip);
    return Math.max(0, skip - length);
  }

  /** The frames that `bytes` covers completely; the remainder belongs to the next one. */
  #settle(frames: FrameList, bytes: number): number {
    let left = bytes;
    for (let i = 0; i < frames.count; i++) {
      const length = (frames.lengths[i] ?? 0) + (frames.wrapped[i] ?? 0);
      const size = length - NET_HEADER_SIZE + PREFIX_SIZE;
      if (left < size) {
        this.#partial = left;
        return i;
      }
      left -= size;
    }
    this.#partial = 0;
    return frames.count;
  }
}
