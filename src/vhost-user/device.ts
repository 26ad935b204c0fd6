// What a session knows of the device behind it, be it a network card, an entropy source or a disk.

import type { RingRole } from '../processor/mailbox.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import type { RingSet } from '../virtqueue/ring-set.ts';

/** What a device needs to know about a front-end to decide which features it offers. */
export interface FrontEndTraits {
  /**
   * It serves the configuration space itself, and with it the queue that controls the device, as
   * QEMU's netdev does.
   */
  readonly keepsConfigSpace?: boolean;
  /** It has announced a channel on which it can be asked for translations (BACKEND_REQ). */
  readonly hasChannel?: boolean;
}

/** Bytes of the largest configuration space (VHOST_USER_MAX_CONFIG_SIZE). */
export const CONFIG_SPACE_SIZE = 256;

export interface Device {
  readonly name: string;
  readonly rings: RingSet;
  /** Protocol features of this kind of device, in addition to OFFERED_PROTOCOL_FEATURES. */
  readonly protocolFeatures: bigint;
  readonly allowUnsealedMemory: boolean;
  /** File descriptors that a front-end may leave with us. */
  readonly descriptorQuota: number;
  /** Why none of its rings may start at present; null: they may. */
  readonly startProblem: RingProblem | null;
  /** Feature bits for GET_FEATURES. */
  offeredFeatures(traits: FrontEndTraits): bigint;
  /** Whether a front-end may acknowledge these. */
  isAcceptable(features: bigint): boolean;
  /** What a queue is for under these features; null: there is no such queue. */
  roleOf(queue: number, features: bigint): RingRole | null;
  /** The answer to GET_QUEUE_NUM. `readsConfig`: the front-end reads our configuration space. */
  queueCount(readsConfig: boolean): number;
  /** The configuration space, padded with zeros to CONFIG_SPACE_SIZE bytes. */
  readConfig(): Uint8Array;
  /** NET_SET_MTU. Throws a Refusal if it is too large and `isAnswered`. Network devices only. */
  setMtu?(mtu: number, isAnswered: boolean): void;
  /** The driver has reset the device, or the front-end has done so for it. */
  reset(): Promise<void>;
  /** The front-end has stopped a queue for good, or the driver has reset it. */
  forgetQueue(queue: number): void;
}
