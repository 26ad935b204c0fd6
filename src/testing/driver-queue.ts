import type { GuestMemory, Span } from './guest-memory.ts';

export interface DriverQueueOptions {
  size: number;
  eventIndex?: boolean;
  /** Descriptors are taken in ring order, and chains must come back in order. */
  inOrder?: boolean;
  /**
   * Without IN_ORDER a device may return chains in any order (2.7.8). Unless this is set, one that
   * does is an error: most network devices complete in order, and some promise it.
   */
  anyOrder?: boolean;
  /** Longest indirect table; 0 for direct chains only. */
  indirectEntriesMax?: number;
  /** Where the ring stands, if it resumes: slots since its beginning. */
  base?: number;
}

/** Pieces of one chain. */
export const PIECES_MAX = 1024;

/**
 * The driver's side of a virtqueue, whatever its format. A chain is named by its key, a number
 * below the ring's size; what stands on the ring for it is the format's own matter.
 *
 *   piece × n → commit → publish … popUsed → key, usedLength
 */
export interface DriverQueue {
  readonly isPacked: boolean;
  readonly size: number;
  readonly memory: GuestMemory;
  /** The three parts as SET_VRING_ADDR names them: descriptors, driver area, device area. */
  readonly descriptors: Span;
  readonly avail: Span;
  readonly used: Span;
  readonly eventIndex: boolean;
  readonly inOrder: boolean;
  /** Bytes that the device claims to have written into the chain that `popUsed` returned. */
  readonly usedLength: number;
  readonly freeDescriptors: number;
  /** Chains handed to the device and not back yet. */
  readonly outstanding: number;
  /** Where the driver stands, as SET_VRING_BASE and GET_VRING_BASE write it. */
  readonly base: number;
  readonly hasUsed: boolean;

  /** The driver starts over, as after a reset: all chains are forgotten. */
  reset(base?: number): void;
  /** Whether a chain of `pieces` fits now. */
  hasRoom(pieces: number): boolean;
  /** Adds a buffer to the chain under construction. */
  piece(address: number, length: number, isWritable: boolean): void;
  /** Writes the chain; the device sees it at the next `publish`. Returns its key. */
  commit(indirect?: boolean): number;
  /** Shows the committed chains to the device. True if it wants a kick for them. */
  publish(): boolean;
  /** The key of the next chain that came back, or −1. */
  popUsed(): number;
  /** Asks for a call at the next used chain. True if one is there already. */
  armCall(): boolean;
  /** No calls, please. */
  suppressCall(): void;
  /** With EVENT_IDX: asks for a call when the used side passes this place. */
  setUsedEvent(place: number): void;
  /** Takes what has come back without a look at it: for rings that the test writes itself. */
  skipUsed(): void;
}

/** 2.7.10: whether an index has passed the event that the other side waits for. */
export function needsEvent(event: number, after: number, before: number): boolean {
  return ((after - event - 1) & 0xffff) < ((after - before) & 0xffff);
}
