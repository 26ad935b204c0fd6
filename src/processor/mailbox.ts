import { RING_FAULT_NONE } from '../../layout/virtqueue.ts';
import type { MemoryRegion } from '../memory/guest-memory.ts';
import type { IotlbChange, Translation } from '../memory/iotlb.ts';
import type { Pin } from '../memory/pins.ts';
import type { PeerSignal } from '../os/peer-signal.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import { RingFaultError } from '../state/ring-problem.ts';
import type { PulseSlot } from '../watchdog/pulse.ts';
import type { WireSettings } from '../wires/wires.ts';

// The mailbox: what the control plane asks of a processor. A message is posted, the doorbell
// raised; the processor takes it between two turns and answers. Nothing on the data path waits for
// it.
//
// `owner` is the number of a function: it names a guest's memory. `port` is a place in the switch.

/** The three parts of a ring, each mapped whole. */
export interface RingPins {
  descriptors: Pin;
  avail: Pin;
  used: Pin;
}

/**
 * What a ring is for. A network device's: frames to its guest, frames from it, and commands. Others
 * have requests: chains that are taken, carried out and answered one by one.
 */
export type RingRole = 'receive' | 'transmit' | 'control' | 'request';

export type Message =
  /** `isBehindIommu`: what the guest names are I/O virtual addresses. Its translations are void. */
  | {
      kind: 'set-memory';
      owner: number;
      rings: RingBlock;
      regions: readonly MemoryRegion[];
      isBehindIommu: boolean;
    }
  /** All that is known of a function's translations. */
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
      /** All but receive rings belong to the one processor that they are attached to. */
      role: RingRole;
      /** This processor asks for the translations of the buffers that its guest posts. */
      looksAhead: boolean;
      /**
       * Start where the guest's own memory says that the ring stands, if it says so, rather than
       * where the shared record does.
       */
      resumesFromUsed: boolean;
      kickFd: number;
      call: PeerSignal | null;
    }
  /** `leavesNote`: the front-end is lost, and the next may not know where the ring stands. */
  | { kind: 'detach-ring'; ring: number; leavesNote: boolean }
  | { kind: 'set-ring-state'; ring: number; state: number }
  | { kind: 'set-call'; ring: number; call: PeerSignal | null }
  /** Of the request with this number. */
  | { kind: 'answer-request'; ring: number; id: number; answer: Uint8Array }
  | { kind: 'set-port'; port: number; isUp: boolean }
  /** What the MAC table knows of a port in so many sets, from one on. */
  | { kind: 'forget-port'; port: number; firstSet: number; sets: number }
  | { kind: 'set-mac-age'; seconds: number }
  /** Nothing but the answer: what the processor decided before it is delivered by then. */
  | { kind: 'settle' }
  /**
   * An uplink's queue pair: its memory, mapped whole by `pin`, and what its driver moves frames
   * with.
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
  /**
   * Takes a ring's memory away under the firmware: a trap on demand, as `devlink health test` has
   * it.
   */
  | { kind: 'inject-trap'; ring: number; pins: RingPins }
  | { kind: 'stop' };

export interface Envelope {
  id: number;
  message: Message;
}

/** A message failed. `fault`: of a ring, RING_FAULT_NONE if it was something else. */
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
  /** A guest's request, null if it is too long, and the room for its answer in bytes. */
  | { kind: 'request'; ring: number; id: number; bytes: Uint8Array | null; room: number }
  | { kind: 'uplink-lost'; port: number; reason: string }
  /** The same sources come by both uplinks, as they do in a loop. */
  | { kind: 'uplink-loop'; port: number; other: number }
  /** `access`: IOTLB_READ or IOTLB_WRITE, and UNTRANSLATED_FORBIDDEN where it is refused. */
  | { kind: 'untranslated'; owner: number; iova: bigint; access: number }
  /** A buffer lies outside of the memory that the front-end has shared. */
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
  /** Where it shows that it lives. */
  pulse: PulseSlot;
  macAgeSeconds: number;
  /** The CPU that it has for itself; null: it shares what there is with whoever else runs. */
  cpu: number | null;
  firmware: Uint8Array;
  layoutHash: number;
}
