// The public types of functions of any kind.

import type { EventOf } from '../events.ts';
import type { ControlStats } from '../state/stats.ts';

/**
 * down: no front-end. connected: the socket is open. ready: at least one ring runs.
 * faulted: a ring or the session was stopped by a fault.
 */
export type FunctionState = 'down' | 'connected' | 'ready' | 'faulted';

export interface RingInfo {
  /** Virtqueue number. */
  queue: number;
  /** rx, tx, control or request. */
  direction: string;
  /** stopped, disabled, enabled or faulted. */
  state: string;
  /** Number of descriptors. */
  size: number;
  /** Why the ring is faulted. */
  fault?: string;
}

/** Events where a VMM attaches, for any kind of device. */
export interface AttachmentEvents {
  connect: object;
  ready: object;
  reset: object;
  /** `reason`: why the NIC closed the connection, if the front-end was at fault. */
  disconnect: { reason?: string };
  /** `queue`: virtqueue number, if the fault concerns one ring. */
  fault: { queue?: number; reason: string };
  /** Its rings made the firmware trap again and again. None of them runs for this many seconds. */
  quarantine: { seconds: number; reason: string };
  'quarantine-end': object;
}

export type AttachmentEvent = EventOf<AttachmentEvents>;

/** The public view of a function that is not a VF. */
export interface FunctionInfo {
  name: string;
  kind: 'rng';
  socket: string;
  state: FunctionState;
  processor: number;
  features: string[];
  rings: RingInfo[];
  /** Guest memory that the front-end has shared. */
  memoryBytes: number;
  /** Counters of its request ring, once that was used. `commands` counts requests. */
  counters?: ControlStats;
  lastFault?: string;
}

/** An event of a function that is not a VF. `what`: a name of AttachmentEvents. */
export interface FunctionEvent {
  function: string;
  kind: FunctionInfo['kind'];
  what: keyof AttachmentEvents;
  queue?: number;
  seconds?: number;
  reason?: string;
}

export type FunctionEmit = (event: FunctionEvent) => void;
