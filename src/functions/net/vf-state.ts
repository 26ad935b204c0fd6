import type { Transitions } from '../../life-cycle.ts';
import type { VfState } from './types.ts';

export const VF_TRANSITIONS: Transitions<VfState> = {
  down: ['connected'],
  connected: ['ready', 'faulted', 'down'],
  ready: ['connected', 'faulted', 'down'],
  faulted: ['connected', 'ready', 'down'],
};
