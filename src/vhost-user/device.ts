// What a session knows of the device behind it: a network card, an entropy source, a disk.

import type { RingRole } from '../processor/mailbox.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import type { RingSet } from '../virtqueue/ring-set.ts';

/** What a device has to know of a front-end to say what it offers. */
export interface FrontEndTraits {
  /**
   * It serves the configuration space itself, and with it whatever queue that is controlled by, as
   * QEMU's netdev does.
   */
  readonly keepsConfigSpace?: boolean;
  /** It has said that there is a channel on which it can be asked for translations. */
  readonly hasChannel?: boolean;
}

/** Bytes of the largest configuration space (VHOST_USER_MAX_CONFIG_SIZE). */
export const CONFIG_SPACE_SIZE = 256;

export interface Device {
  readonly name: string;
  readonly rings: RingSet;
  /** Protocol features of this kind of device, beyond those of all (OFFERED_PROTOCOL_FEATURES). */
  readonly protocolFeatures: bigint;
  readonly allowUnsealedMemory: boolean;
  /** Descriptors that a front-end may leave with us. */
  readonly descriptorQuota: number;
  /** Why none of its rings may start for now. */
  readonly startProblem: RingProblem | null;
  /** Feature bits for GET_FEATURES. */
  offeredFeatures(traits: FrontEndTraits): bigint;
  /** Whether a front-end may acknowledge these. */
  isAcceptable(features: bigint): boolean;
  /** What a queue is for under these features; null: there is no such queue. */
  roleOf(queue: number, features: bigint): RingRole | null;
  /** The answer to GET_QUEUE_NUM. `readsConfig`: the front-end reads our configuration space. */
  queueCount(readsConfig: boolean): number;
  /** The configuration space: CONFIG_SPACE_SIZE bytes, of which the rest reads as zero. */
  readConfig(): Uint8Array;
  /** NET_SET_MTU. Throws a Refusal if it is too large and `isAnswered`. Only of network devices. */
  setMtu?(mtu: number, isAnswered: boolean): void;
  /** The driver, or the front-end for it, has reset the device. */
  reset(): Promise<void>;
  /** A front-end has stopped a queue for good, or its driver has reset it. */
  forgetQueue(queue: number): void;
}
