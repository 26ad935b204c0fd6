import { RING_FAULT_NONE } from '../../layout/virtqueue.ts';
import type { MemoryRegion } from '../memory/guest-memory.ts';
import type { IotlbChange, Translation } from '../memory/iotlb.ts';
import type { Pin } from '../memory/pins.ts';
import type { PeerSignal } from '../os/peer-signal.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import { RingFaultError } from '../state/ring-problem.ts';
import type { PulseSlot } from '../watchdog/pulse.ts';
import type { WireSettings } from '../wires/wires.ts';

// The mailbox: what the control plane asks of a processor. The control plane posts a message and
// rings the doorbell; the processor takes the message between two turns and answers. Nothing on the
// data path waits for it.
//
// `owner` is the number of a function, which names a guest's memory. `port` is a place in the
// switch.

/** The three parts of a ring. Each is mapped as a whole. */
export interface RingPins {
  descriptors: Pin;
  avail: Pin;
  used: Pin;
}

/**
 * What a ring is for. A network device has rings for frames to its guest, for frames from it, and
 * for commands. Other devices have requests: chains that are taken, carried out and answered one by
 * one.
 */
export type RingRole = 'receive' | 'transmit' | 'control' | 'request';

export type Message =
  /**
   * `isBehindIommu`: the guest uses I/O virtual addresses. Voids all translations of the function.
   */
  | {
      kind: 'set-memory';
      owner: number;
      rings: RingBlock;
      regions: readonly MemoryRegion[];
      isBehindIommu: boolean;
    }
  /** Replaces all translations of a function. */
  | {
      kind: 'set-translations';
      owner: number;
      rings: RingBlock;
      translations: readonly Translation[];
    }
  | { kind: 'change-iotlb'; owner: number; rings: RingBlock; change: IotlbChange }
  | {
      kind: 'attach-ring';
      ring: number;
      owner: number;
      pins: RingPins;
      state: number;
      /** Any ring but a receive ring belongs to the one processor it is attached to. */
      role: RingRole;
      /** This processor requests the translations of the buffers that its guest posts. */
      looksAhead: boolean;
      /**
       * Start at the position that the guest's own memory gives, if it gives one, instead of that
       * in the shared record.
       */
      resumesFromUsed: boolean;
      kickFd: number;
      call: PeerSignal | null;
    }
  /** `leavesNote`: the front-end is lost, and the next one may not know the ring's position. */
  | { kind: 'detach-ring'; ring: number; leavesNote: boolean }
  | { kind: 'set-ring-state'; ring: number; state: number }
  | { kind: 'set-call'; ring: number; call: PeerSignal | null }
  /** `id`: that of the request. */
  | { kind: 'answer-request'; ring: number; id: number; answer: Uint8Array }
  | { kind: 'set-port'; port: number; owner: number; isUp: boolean }
  /** Removes what the MAC table knows about a port, in `sets` sets starting at `firstSet`. */
  | { kind: 'forget-port'; port: number; firstSet: number; sets: number }
  | { kind: 'set-mac-age'; seconds: number }
  /** What a node of the schedule is promised has changed in the shared state. */
  | { kind: 'promise-changed'; node: number }
  /** Does nothing but answer: frames classified before this message have been delivered. */
  | { kind: 'settle' }
  /**
   * An uplink's queue pair. `pin` maps its memory as a whole; its driver moves frames with `wire`.
   */
  | {
      kind: 'attach-port';
      port: number;
      pair: number;
      /** The ring of its receive queue. */
      receiveRing: number;
      pin: Pin;
      wire: WireSettings;
      mtu: number;
      callFd: number;
    }
  | { kind: 'detach-port'; port: number; pair: number; pin: Pin }
  /** Unmaps a ring's memory under the firmware: a trap on demand, as in `devlink health test`. */
  | { kind: 'inject-trap'; ring: number; pins: RingPins }
  | { kind: 'stop' };

export interface Envelope {
  id: number;
  message: Message;
}

/**
 * A message failed. `fault`: the ring fault, or RING_FAULT_NONE if the cause was something else.
 */
interface Failure {
  kind: 'failed';
  id: number;
  message: string;
  fault: number;
}

/** What a processor tells the control plane. */
export type Report =
  | { kind: 'started' }
  | { kind: 'done'; id: number; result: boolean }
  | Failure
  | { kind: 'ring-fault'; ring: number; fault: number }
  /** A guest's request, null if it is too long. `room`: bytes for the answer. */
  | { kind: 'request'; ring: number; id: number; bytes: Uint8Array | null; room: number }
  | { kind: 'uplink-lost'; port: number; reason: string }
  /** Both uplinks receive from the same source addresses, as happens in a loop. */
  | { kind: 'uplink-loop'; port: number; other: number }
  /** `access`: IOTLB_READ or IOTLB_WRITE, plus UNTRANSLATED_FORBIDDEN if access was refused. */
  | { kind: 'untranslated'; owner: number; iova: bigint; access: number }
  /** A buffer lies outside the memory that the front-end has shared. */
  | { kind: 'outside'; owner: number; address: bigint }
  | { kind: 'trap'; ring: number; message: string };

export function failureOf(id: number, error: Error): Failure {
  const fault = error instanceof RingFaultError ? error.fault : RING_FAULT_NONE;
  return { kind: 'failed', id, message: error.message, fault };
}

/** The error that was reported. */
export function errorOf({ message, fault }: Failure): Error {
  return fault === RING_FAULT_NONE ? new Error(message) : new RingFaultError(fault);
}

export interface ProcessorOptions {
  index: number;
  processorCount: number;
  sharedFd: number;
  wakeFd: number;
  /** Where the thread shows the watchdog that it is alive. */
  pulse: PulseSlot;
  macAgeSeconds: number;
  /** The CPU reserved for it; null: it shares the CPUs with all other threads. */
  cpu: number | null;
  firmware: Uint8Array;
  layoutHash: number;
}
