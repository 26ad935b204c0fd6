import { RING_DISABLED, RING_ENABLED, RING_FAULTED, RING_STOPPED } from '../../layout/virtqueue.ts';
import type { Transitions } from '../life-cycle.ts';

/**
 * stopped: none of its memory is mapped. disabled: it runs, but receives nothing, and what it
 * transmits is discarded. faulted: its driver broke it, the firmware trapped on it, or it could not
 * start; only a stop ends this.
 */
export type RingState = 'stopped' | 'disabled' | 'enabled' | 'faulted';

export const RING_TRANSITIONS: Transitions<RingState> = {
  stopped: ['disabled', 'enabled', 'faulted'],
  disabled: ['enabled', 'stopped', 'faulted'],
  enabled: ['disabled', 'stopped', 'faulted'],
  faulted: ['stopped'],
};

/** The value of each state in the shared ring record. */
export const RING_STATE_NUMBERS: Readonly<Record<RingState, number>> = {
  stopped: RING_STOPPED,
  disabled: RING_DISABLED,
  enabled: RING_ENABLED,
  faulted: RING_FAULTED,
};
