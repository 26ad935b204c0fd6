// A wire: the half of an uplink that runs in the processor's thread and moves frames between the
// port's memory and the world. docs/write-an-uplink.md tells how to write one; loopback.ts is the
// specimen.

import { WIRE_REFUSED, WIRE_SENT, WIRE_SENT_BYTES, WIRE_TOO_LONG } from './port-memory.ts';

/** Frames that one call moves at most. */
export const BURST_MAX = 64;

/**
 * Frames in a port's memory, as numbers: no object per frame. Each begins with a virtio-net header
 * of 12 bytes. One that goes around the end of the receive buffers has `wrapped` more bytes at
 * their start.
 */
export class FrameList {
  count = 0;
  /** Offsets in the memory of the queue pair. */
  readonly starts = new Uint32Array(BURST_MAX);
  /** Header and frame, in bytes, without what is wrapped. */
  readonly lengths = new Uint32Array(BURST_MAX);
  readonly wrapped = new Uint32Array(BURST_MAX);
  /** Pieces that the frame lies in, if it is lent: its start has their list behind the header. */
  readonly pieces = new Uint32Array(BURST_MAX);

  add(start: number, length: number, wrapped: number): void {
    this.starts[this.count] = start;
    this.lengths[this.count] = length;
    this.wrapped[this.count] = wrapped;
    this.pieces[this.count] = 0;
    this.count += 1;
  }
}

/**
 * What a wire says whose far side works in the port's memory itself: frames from the world lie
 * where it put them, and frames to the world are read after `send` has returned. Nothing is copied.
 */
export interface SharedMemory {
  /** What comes before, from ARENA on, is for frames that are copied; the rest is the wire's. */
  readonly arenaEnd: number;
  /** Bytes of a receive buffer. */
  readonly bufferSize: number;
  /** 1 for each receive buffer that the world may still read. */
  readonly lent: Uint8Array;
  /** The switch is done with these frames from the world: only their starts are given. */
  reclaim(frames: FrameList): void;
  /** Finds out which buffers the world is done with. */
  settle(): void;
}

export interface Wire {
  /** The descriptor to wait for; −1 for none. */
  readonly fd: number;
  /**
   * False when the last look found nothing; the port sets it when the descriptor becomes readable.
   */
  isReadable: boolean;
  /** Why nothing moves any more, or null. The port reports it once and lets go. */
  failure: string | null;
  /**
   * Takes frames from the world: writes them between `from` and `to`, each behind its header at a
   * multiple of 64 bytes, and adds at most `limit` of them to the empty list.
   */
  receive(frames: FrameList, from: number, to: number, limit: number): void;
  /**
   * Gives frames to the world, from the first on; returns how many are settled: gone, or counted
   * under a reason. Fewer than there are: it waits until the descriptor is writable.
   */
  send(frames: FrameList): number;
  /** The descriptor that tells of room after such a `send`, where it may be another than `fd`. */
  readonly roomFd?: number;
  readonly shared?: SharedMemory | undefined;
  /**
   * Large frames need not be copied for it: it sends them from where their senders have them. So
   * many bytes of them can be sent now, for certain: what cannot is dropped.
   */
  readonly lendableBytes?: number;
  /** When it wants to be called although nothing came, on the clock of performance.now(). */
  readonly wakeAt?: number;
  close?(): void;
}

/** Counts a frame that the world refused, which its port will count as sent. */
export function countRefused(counters: Float64Array, frameBytes: number): void {
  countUnsent(counters, frameBytes, WIRE_REFUSED);
}

/** The same for one that is longer than the world takes. */
export function countTooLong(counters: Float64Array, frameBytes: number): void {
  countUnsent(counters, frameBytes, WIRE_TOO_LONG);
}

function countUnsent(counters: Float64Array, frameBytes: number, reason: number): void {
  counters[reason] = (counters[reason] ?? 0) + 1;
  counters[WIRE_SENT] = (counters[WIRE_SENT] ?? 0) - 1;
  counters[WIRE_SENT_BYTES] = (counters[WIRE_SENT_BYTES] ?? 0) - frameBytes;
}

export function alignUp(offset: number): number {
  return (offset + 63) & ~63;
}
