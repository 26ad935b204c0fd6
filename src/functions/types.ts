// What a function of any kind shows of itself.

import type { EventOf } from '../events.ts';
import type { ControlStats } from '../state/stats.ts';

/**
 * down: no front-end. connected: the socket is open. ready: at least one ring runs.
 * faulted: a ring or the session was stopped by a fault.
 */
export type FunctionState = 'down' | 'connected' | 'ready' | 'faulted';

export interface RingInfo {
  queue: number;
  direction: string;
  state: string;
  size: number;
  /** Why it is faulted. */
  fault?: string;
}

/** What happens where a VMM attaches, whatever the kind of device. */
export interface AttachmentEvents {
  connect: object;
  ready: object;
  reset: object;
  /** `reason`: why the NIC closed the connection, when the front-end was to blame. */
  disconnect: { reason?: string };
  fault: { queue?: number; reason: string };
  /** Its rings made the firmware trap again and again: none of them runs for so long. */
  quarantine: { seconds: number; reason: string };
  'quarantine-end': object;
}

export type AttachmentEvent = EventOf<AttachmentEvents>;

/** A function that is no VF, as its users see it. */
export interface FunctionInfo {
  name: string;
  kind: 'rng';
  socket: string;
  state: FunctionState;
  processor: number;
  features: string[];
  rings: RingInfo[];
  memoryBytes: number;
  /** Of its request ring, once that was used. `commands`: its requests. */
  counters?: ControlStats;
  lastFault?: string;
}

/** What happened to a function that is no VF. `what`: a name of AttachmentEvents. */
export interface FunctionEvent {
  function: string;
  kind: FunctionInfo['kind'];
  what: keyof AttachmentEvents;
  queue?: number;
  seconds?: number;
  reason?: string;
}

export type FunctionEmit = (event: FunctionEvent) => void;
