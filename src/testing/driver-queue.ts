import type { GuestMemory, Span } from './guest-memory.ts';

export interface DriverQueueOptions {
  size: number;
  eventIndex?: boolean;
  /** Descriptors are used in ring order, and chains must come back in order. */
  inOrder?: boolean;
  /**
   * Without IN_ORDER a device may return chains in any order (2.7.8). Unless this is set, a device
   * that does so fails the check: most network devices complete in order, and some promise it.
   */
  anyOrder?: boolean;
  /** Longest indirect table; 0: direct chains only. */
  indirectEntriesMax?: number;
  /** Where the ring resumes: slots since the start of its life. */
  base?: number;
}

/** Most pieces of one chain. */
export const PIECES_MAX = 1024;

/**
 * The driver's side of a virtqueue of either format. A chain is named by its key, a number below
 * the ring's size; how the ring identifies the chain depends on the format.
 *
 *   piece × n → commit → publish … popUsed → key, usedLength
 */
export interface DriverQueue {
  readonly isPacked: boolean;
  readonly size: number;
  readonly memory: GuestMemory;
  /** The three parts, as SET_VRING_ADDR names them: descriptors, driver area, device area. */
  readonly descriptors: Span;
  readonly avail: Span;
  readonly used: Span;
  readonly eventIndex: boolean;
  readonly inOrder: boolean;
  /** Bytes that the device claims to have written into the chain that `popUsed` returned. */
  readonly usedLength: number;
  readonly freeDescriptors: number;
  /** Chains that the device has not returned yet. */
  readonly outstanding: number;
  /** The driver's position, as SET_VRING_BASE and GET_VRING_BASE encode it. */
  readonly base: number;
  readonly hasUsed: boolean;

  /** The driver starts over, as after a reset: all chains are forgotten. */
  reset(base?: number): void;
  /** Whether a chain of `pieces` fits now. */
  hasRoom(pieces: number): boolean;
  /** Adds a buffer to the chain that is being built. */
  piece(address: number, length: number, isWritable: boolean): void;
  /** Writes the chain; the device sees it at the next `publish`. Returns its key. */
  commit(indirect?: boolean): number;
  /** Shows the committed chains to the device. True if the device wants a kick for them. */
  publish(): boolean;
  /** The key of the next returned chain, or −1. */
  popUsed(): number;
  /** Requests a call at the next used chain. True if there is already one. */
  armCall(): boolean;
  /** Requests no calls. */
  suppressCall(): void;
  /** With EVENT_IDX: requests a call when the used side passes this place. */
  setUsedEvent(place: number): void;
  /** Skips what the device returned without checking it: for rings that the test writes itself. */
  skipUsed(): void;
}

/** 2.7.10: whether an index has passed the event that the other side waits for. */
export function needsEvent(event: number, after: number, before: number): boolean {
  return ((after - event - 1) & 0xffff) < ((after - before) & 0xffff);
}
