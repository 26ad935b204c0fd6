import type { Transitions } from '../life-cycle.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import type { RingSet } from '../virtqueue/ring-set.ts';
import type { FeatureChoice } from './features.ts';

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
  /** Nothing is refused, but the operator should know. */
  onOddity(reason: string): void;
  /** A ring cannot start; the connection goes on. */
  onRingFault(queue: number, reason: string): void;
  /** The guest named an address that its IOMMU does not translate. */
  onUntranslatable(iova: bigint): void;
  onClosed(reason: string | null): void;
}

/** What a session needs to know of its VF. */
export interface SessionDevice extends FeatureChoice {
  readonly name: string;
  readonly rings: RingSet;
  readonly queuePairs: number;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly isLinkUp: boolean;
  readonly allowUnsealedMemory: boolean;
  /** Descriptors that a front-end may leave with us. */
  readonly descriptorQuota: number;
  /** Why none of its rings may start for now. */
  readonly heldProblem: RingProblem | null;
}
