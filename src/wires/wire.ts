// A wire: the half of an uplink that runs in the processor's thread and moves frames between the
// port's memory and a descriptor. docs/write-an-uplink.md explains how to write one; copy
// loopback.ts.

import { WIRE_REFUSED, WIRE_SENT, WIRE_SENT_BYTES, WIRE_TOO_LONG } from './port-memory.ts';

/** The most frames that one call moves. */
export const BURST_MAX = 64;

/**
 * Frames in a port's memory, as numbers, without an object per frame. Each starts with a virtio-net
 * header of 12 bytes. One that wraps around the end of the receive buffers has `wrapped` more bytes
 * at their start.
 */
export class FrameList {
  count = 0;
  /** Offsets in the memory of the queue pair. */
  readonly starts = new Uint32Array(BURST_MAX);
  /** Header and frame, in bytes, without the wrapped part. */
  readonly lengths = new Uint32Array(BURST_MAX);
  readonly wrapped = new Uint32Array(BURST_MAX);
  /** Number of pieces, if the frame is lent: their list follows the header at its start. */
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
 * For a wire whose kernel side works in the port's memory: received frames lie where the kernel put
 * them, and sent frames are read after `send` has returned. Nothing is copied.
 */
export interface SharedMemory {
  /** The end of the area for copied frames, which starts at ARENA; the rest belongs to the wire. */
  readonly arenaEnd: number;
  /** Bytes of a receive buffer. */
  readonly bufferSize: number;
  /** 1 for each receive buffer that the kernel may still read. */
  readonly lent: Uint8Array;
  /** The switch is done with these received frames; only their starts are given. */
  reclaim(frames: FrameList): void;
  /** Finds out which buffers the kernel is done with. */
  settle(): void;
}

export interface Wire {
  /** The descriptor to wait for; −1 for none. */
  readonly fd: number;
  /**
   * False if the last read found nothing; the port sets it when the descriptor becomes readable.
   */
  isReadable: boolean;
  /** Why nothing works any more, or null. The port reports it once and gives up the wire. */
  failure: string | null;
  /**
   * Receives frames: writes them between `from` and `to`, each after its header at a multiple of 64
   * bytes, and adds at most `limit` of them to the empty list.
   */
  receive(frames: FrameList, from: number, to: number, limit: number): void;
  /**
   * Sends frames, starting with the first; returns how many are settled: sent, or counted under a
   * reason. If fewer than all, it waits until the descriptor is writable.
   */
  send(frames: FrameList): number;
  /** The descriptor that reports room after such a `send`, if it is not `fd`. */
  readonly roomFd?: number;
  readonly shared?: SharedMemory | undefined;
  /**
   * This many bytes of large frames can be sent now without being copied, from where their senders
   * have them. A promise: what cannot be sent after all is dropped.
   */
  readonly lendableBytes?: number;
  /**
   * When it wants to be called even without an event, on the clock of performance.now(). That is
   * imported where it is used: the global is loaded at its first use, which takes 2 ms.
   */
  readonly wakeAt?: number;
  close?(): void;
}

/** Counts a refused frame, which its port will count as sent. */
export function countRefused(counters: Float64Array, frameBytes: number): void {
  countUnsent(counters, frameBytes, WIRE_REFUSED);
}

/** The same for a frame that is too long. */
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
