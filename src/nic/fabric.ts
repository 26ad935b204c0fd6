import type { PinAllocator } from '../memory/pins.ts';
import type { Command } from '../processor/commands.ts';
import type { SharedState } from './shared-state.ts';

/** What VFs need of the NIC around them: the shared state, room for rings, and the processors. */
export interface Fabric {
  readonly shared: SharedState;
  readonly pins: PinAllocator;
  /** Posts to one processor. */
  post(processor: number, command: Command): Promise<boolean>;
  /** Posts to all; resolves when the last has answered. */
  broadcast(command: Command): Promise<void>;
  readonly processorCount: number;
}
