import type { PinAllocator } from '../memory/pins.ts';
import type { Raiser } from '../os/raiser.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import type { SharedState } from '../state/shared-state.ts';
import type { Budget } from './budgets.ts';
import type { FunctionView } from './function-view.ts';
import type { Message } from './mailbox.ts';

/** How a processor is. `reason`: what it died of. */
export type ProcessorHealth =
  | { state: 'running' }
  /** It is being replaced. */
  | { state: 'recovering'; reason: string }
  /** It cannot be: what it served stands still until the NIC is started again. */
  | { state: 'broken'; reason: string };

/** A function of the NIC, or an uplink, as the supervisor of the processors sees it. */
export interface NicFunction {
  /** Of the function: it names a guest's memory. */
  readonly number: number;
  readonly name: string;
  readonly processor: number;
  readonly ringBlock: RingBlock;
  /** Whether any of its rings belongs to a processor. */
  isServedBy(processor: number): boolean;
  /** What processors have to know of it now. */
  view(): FunctionView;
  /** A processor serves this function no more. It says so, and why. */
  setAside(reason: string): Promise<void>;
  /** A processor stopped one of its rings, the one at this place in its block. */
  onRingFault(place: number, problem: RingProblem): Promise<void>;
  /**
   * A request of its guest, null if it is too long; resolves with the answer, of at most `room`
   * bytes.
   */
  onRequest?(bytes: Uint8Array | null, room: number): Promise<Uint8Array>;
  /** A processor lacks the translation of an address that its guest named. */
  onUntranslated?(iova: bigint, access: number): void;
  /** Its guest named an address outside of the memory that the front-end has shared. */
  onOutside?(address: bigint): void;
}

/** A function with a place in the switch: a VF or an uplink. */
export interface SwitchPort extends NicFunction {
  readonly port: number;
}

/** What functions need of the NIC around them: shared state, room for rings, processors. */
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
  post(processor: number, message: Message): Promise<boolean>;
  /** Posts to all; resolves when the last has answered. */
  broadcast(message: Message): Promise<void>;
  readonly processorCount: number;
  healthOf(processor: number): ProcessorHealth;
}

/** What a NIC gives a function: its numbers, and the processor that serves it. */
export interface FunctionPlace {
  number: number;
  processor: number;
  ringBlock: RingBlock;
}

/** A function with a place in the switch. */
export interface PortPlace extends FunctionPlace {
  port: number;
}
