import type { Transitions } from '../life-cycle.ts';
import type { FunctionState } from './types.ts';

export const FUNCTION_TRANSITIONS: Transitions<FunctionState> = {
  down: ['connected'],
  connected: ['ready', 'faulted', 'down'],
  ready: ['connected', 'faulted', 'down'],
  faulted: ['connected', 'ready', 'down'],
};
