import type { Transitions } from '../life-cycle.ts';

/**
 * connected: the socket is open. negotiated: features are acknowledged. running: a ring runs.
 * closed: the socket and all that came through it are gone.
 */
export type SessionState = 'connected' | 'negotiated' | 'running' | 'closed';

export const SESSION_TRANSITIONS: Transitions<SessionState> = {
  connected: ['negotiated', 'closed'],
  negotiated: ['running', 'closed'],
  running: ['negotiated', 'closed'],
  closed: [],
};

/** Who hears of what becomes of a session. */
export interface SessionListener {
  onStateChange(): void;
  /** The front-end reset its device. */
  onReset(): void;
  onRefusal(reason: string): void;
  /** A ring cannot start; the connection goes on. */
  onRingFault(queue: number, reason: string): void;
  /** The guest named an address that its IOMMU does not translate. */
  onUntranslatable(iova: bigint): void;
  onClosed(reason: string | null): void;
}
