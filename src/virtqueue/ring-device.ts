import type { RingRole } from '../processor/mailbox.ts';
import type { Ring } from './ring.ts';

/** What a device contributes to the life cycle of its rings. */
export interface RingDevice {
  /** The purpose of a queue under these features, or null if the device has no such queue. */
  roleOf(queue: number, features: bigint): RingRole | null;
  /** The index of a queue's ring number in the function's block. */
  placeOf(queue: number, role: RingRole): number;
  /** Writes the device's fields of the ring record: flags, offloads, limits. */
  describe(ring: Ring): void;
  /**
   * The driver started this ring from the beginning. Its owner has it; the other processors follow.
   */
  onFreshStart(ring: Ring): Promise<void>;
  /** A ring has started, stopped or changed its state. */
  publish(): Promise<void>;
}
