import { RING_DISABLED, RING_ENABLED, RING_FAULTED, RING_STOPPED } from '../../layout/virtqueue.ts';
import type { Transitions } from '../life-cycle.ts';

/**
 * stopped: no memory of it is mapped. disabled: it runs, but receives nothing and what it transmits
 * is discarded. faulted: its driver broke it, the firmware trapped on it, or it could not start;
 * only a stop helps.
 */
export type RingState = 'stopped' | 'disabled' | 'enabled' | 'faulted';

export const RING_TRANSITIONS: Transitions<RingState> = {
  stopped: ['disabled', 'enabled', 'faulted'],
  disabled: ['enabled', 'stopped', 'faulted'],
  enabled: ['disabled', 'stopped', 'faulted'],
  faulted: ['stopped'],
};

/** The words of the shared ring record for each state. */
export const RING_STATE_NUMBERS: Readonly<Record<RingState, number>> = {
  stopped: RING_STOPPED,
  disabled: RING_DISABLED,
  enabled: RING_ENABLED,
  faulted: RING_FAULTED,
};
