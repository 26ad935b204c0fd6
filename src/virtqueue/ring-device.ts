import type { RingRole } from '../processor/mailbox.ts';
import type { Ring } from './ring.ts';

/** What a device adds to the life of its rings. */
export interface RingDevice {
  /** What a queue is for under these features; null: the device has no such queue. */
  roleOf(queue: number, features: bigint): RingRole | null;
  /** The place of a queue's ring number in the block of the function. */
  placeOf(queue: number, role: RingRole): number;
  /** Writes into a ring's record what the device means by it: flags, offloads, limits. */
  describe(ring: Ring): void;
  /** A ring was started by its driver from the beginning; its owner has it, the others follow. */
  onFreshStart(ring: Ring): Promise<void>;
  /** A ring has come, gone or changed its state. */
  publish(): Promise<void>;
}
