import type { Transitions } from '../life-cycle.ts';
import type { MemoryState } from '../memory/guest-memory.ts';
import type { RingSetup } from '../virtqueue/ring-setup.ts';
import type { BackendChannelState } from './backend-channel.ts';
import type { IommuState } from './iommu.ts';

/**
 * connected: the socket is open. negotiated: features are acknowledged. running: a ring runs.
 * closed: the socket and everything received through it are gone.
 */
export type SessionState = 'connected' | 'negotiated' | 'running' | 'closed';

export const SESSION_TRANSITIONS: Transitions<SessionState> = {
  connected: ['negotiated', 'closed'],
  negotiated: ['running', 'closed'],
  running: ['negotiated', 'closed'],
  closed: [],
};

/** What a front-end has set up, as data. Saved between requests, so no work is under way. */
export interface SavedSession {
  state: SessionState;
  features: bigint;
  protocolFeatures: bigint;
  isProtocolKnown: boolean;
  status: number;
  wasAsked: boolean;
  knownQueues: number[];
  setups: [queue: number, setup: RingSetup][];
  memory: MemoryState;
  iommu: IommuState;
  backend: BackendChannelState | null;
}

/** Is told what happens to a session. */
export interface SessionListener {
  onStateChange(): void;
  /** The front-end reset its device. */
  onReset(): void;
  onRefusal(reason: string): void;
  /** A ring cannot start. The connection continues. */
  onRingFault(queue: number, reason: string): void;
  /** The guest named an address that its IOMMU does not translate. */
  onUntranslatable(iova: bigint): void;
  onClosed(reason: string | null): void;
}
