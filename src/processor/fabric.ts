import type { PinAllocator } from '../memory/pins.ts';
import type { Raiser } from '../os/raiser.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import type { SharedState } from '../state/shared-state.ts';
import type { Budget } from './budgets.ts';
import type { Command } from './commands.ts';
import type { PortView } from './port-view.ts';

/** How a processor is. `reason`: what it died of. */
export type ProcessorHealth =
  | { state: 'running' }
  /** It is being replaced. */
  | { state: 'recovering'; reason: string }
  /** It cannot be: what it served stands still until the NIC is started again. */
  | { state: 'broken'; reason: string };

/**
 * What has a number in the switch: a VF or an uplink, as the supervisor of the processors sees it.
 */
export interface SwitchPort {
  readonly number: number;
  readonly name: string;
  readonly processor: number;
  /** Whether the frames that it sends pass through a processor. */
  isServedBy(processor: number): boolean;
  /** What processors have to know of it now. */
  view(): PortView;
  /** A processor serves this port no more. It says so, and why. */
  setAside(reason: string): Promise<void>;
  /** A processor stopped one of its rings: a virtqueue, or CONTROL_QUEUE. */
  onRingFault(queue: number, problem: RingProblem): Promise<void>;
  /** A command of its guest's control queue; resolves with the answer, of at most `room` bytes. */
  onCommand?(bytes: Uint8Array, room: number): Promise<Uint8Array>;
  /** A processor lacks the translation of an address that its guest named. */
  onUntranslated?(iova: bigint, access: number): void;
  /** Its guest named an address outside of the memory that the front-end has shared. */
  onOutside?(address: bigint): void;
}

/** What VFs need of the NIC around them: the shared state, room for rings, and the processors. */
export interface Fabric {
  readonly shared: SharedState;
  readonly pins: PinAllocator;
  /** For descriptors of peers that the control plane raises. */
  readonly raiser: Raiser;
  /** Memory mappings that this process has left. */
  readonly mappings: Budget;
  /**
   * Posts to one processor; resolves with its answer. False if it died first: then the one in its
   * place knows all that was noted before, or there is none.
   */
  post(processor: number, command: Command): Promise<boolean>;
  /** Posts to all; resolves when the last has answered. */
  broadcast(command: Command): Promise<void>;
  readonly processorCount: number;
  healthOf(processor: number): ProcessorHealth;
}

/** Where a VF stands in its NIC. */
export interface VfPlace {
  number: number;
  processor: number;
  hasUplink: boolean;
  descriptorQuota(): number;
}
