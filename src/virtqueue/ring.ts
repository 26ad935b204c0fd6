import { PACKED_WRAP, RING_LAST_AVAIL } from '../../layout/virtqueue.ts';
import { LifeCycle } from '../life-cycle.ts';
import { isPinOf, type Pin } from '../memory/pins.ts';
import type { RingView } from '../processor/function-view.ts';
import type { RingPins, RingRole } from '../processor/mailbox.ts';
import type { SharedState } from '../state/shared-state.ts';
import { RING_STATE_NUMBERS, RING_TRANSITIONS, type RingState } from './life-cycle.ts';
import { isPackedRing, type RingSetup } from './ring-setup.ts';

/** A ring as the control plane knows it. */
export interface Ring {
  readonly queue: number;
  readonly number: number;
  readonly role: RingRole;
  readonly cycle: LifeCycle<RingState>;
  /** Null for a ring that is set aside. */
  readonly pins: RingPins | null;
  readonly setup: RingSetup;
  readonly features: bigint;
  /** Its owner has read the ring's position from guest memory. */
  isPlaced: boolean;
  /** Why the ring is faulted. */
  fault?: string;
}

interface RingParts {
  role: RingRole;
  setup: RingSetup;
  features: bigint;
  pins: RingPins | null;
}

export function createRing(queue: number, number: number, parts: RingParts): Ring {
  const cycle = new LifeCycle<RingState>(`ring ${queue}`, RING_TRANSITIONS, 'stopped');
  return { queue, number, cycle, isPlaced: false, ...parts };
}

/** What processors have to know about a ring, or null if none of them serves it. */
export function ringView(ring: Ring, processor: number): RingView | null {
  const { number, role, pins, setup, features, isPlaced } = ring;
  if (pins === null || ring.cycle.is('faulted', 'stopped')) return null;
  const { kickFd, call } = setup;
  const state = RING_STATE_NUMBERS[ring.cycle.state];
  const isPacked = isPackedRing(features);
  return { ring: number, processor, role, pins, state, kickFd, call, isPacked, isPlaced };
}

/** True if the driver has not posted anything yet, so earlier settings came from another driver. */
export function standsAtBeginning(shared: SharedState, ring: Ring): boolean {
  const place = shared.ringField(ring.number, RING_LAST_AVAIL);
  return place === (isPackedRing(ring.features) ? PACKED_WRAP : 0);
}

export function liesInFile({ pins }: Ring, fd: number): boolean {
  return pins !== null && Object.values(pins).some((pin: Pin) => isPinOf(pin, fd));
}
