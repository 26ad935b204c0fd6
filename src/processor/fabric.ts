import type { PinAllocator } from '../memory/pins.ts';
import type { Raiser } from '../os/raiser.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import type { SharedState } from '../state/shared-state.ts';
import type { Budget } from './budgets.ts';
import type { FunctionView } from './function-view.ts';
import type { Message } from './mailbox.ts';

/** The state of a processor. `reason`: why it died. */
export type ProcessorHealth =
  | { state: 'running' }
  /** It is being replaced. */
  | { state: 'recovering'; reason: string }
  /** It cannot be replaced. What it served stands still until the NIC is started again. */
  | { state: 'broken'; reason: string };

/** A function of the NIC, or an uplink, as seen by the supervisor of the processors. */
export interface NicFunction {
  /** The function's number, which names its guest's memory. */
  readonly number: number;
  readonly name: string;
  readonly processor: number;
  readonly ringBlock: RingBlock;
  /** Whether any of its rings belongs to this processor. */
  isServedBy(processor: number): boolean;
  /** What processors have to know about it now. */
  view(): FunctionView;
  /** A processor no longer serves this function. The function reports this, with the reason. */
  setAside(reason: string): Promise<void>;
  /** A processor stopped one of its rings. `place`: the ring's index in its block. */
  onRingFault(place: number, problem: RingProblem): Promise<void>;
  /**
   * A request of its guest, null if it is too long. Resolves with the answer, of at most `room`
   * bytes.
   */
  onRequest?(bytes: Uint8Array | null, room: number): Promise<Uint8Array>;
  /** A processor lacks the translation of an address that its guest named. */
  onUntranslated?(iova: bigint, access: number): void;
  /** Its guest named an address outside the memory that the front-end has shared. */
  onOutside?(address: bigint): void;
}

/** A function with a place in the switch: a VF or an uplink. */
export interface SwitchPort extends NicFunction {
  readonly port: number;
}

/** What a function needs from the NIC: shared state, room for rings, processors. */
export interface Fabric {
  readonly shared: SharedState;
  readonly pins: PinAllocator;
  /** For descriptors of peers that the control plane raises. */
  readonly raiser: Raiser;
  /** Memory mappings that this process has left. */
  readonly mappings: Budget;
  /**
   * Posts to one processor and resolves with its answer. Resolves with false if the processor died
   * first: its replacement then knows everything that was recorded before the call, or there is no
   * replacement.
   */
  post(processor: number, message: Message): Promise<boolean>;
  /** Posts to all processors. Resolves when the last one has answered. */
  broadcast(message: Message): Promise<void>;
  readonly processorCount: number;
  healthOf(processor: number): ProcessorHealth;
}

/** What a NIC assigns to a function: its numbers, and the processor that serves it. */
export interface FunctionPlace {
  number: number;
  processor: number;
  ringBlock: RingBlock;
}

/** The same for a function with a place in the switch. */
export interface PortPlace extends FunctionPlace {
  port: number;
}
