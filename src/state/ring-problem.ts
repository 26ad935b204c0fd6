import {
  RING_FAULT_AVAIL_INDEX,
  RING_FAULT_CHAIN,
  RING_FAULT_HEAD_INDEX,
  RING_FAULT_MEMORY,
  RING_FAULT_PLACE,
  RING_FAULT_SETUP,
  RING_FAULT_TRAP,
} from '../../layout/virtqueue.ts';

interface FaultReason {
  /** Its counter is COUNTER_FAULT_REASONS + number − 1. */
  readonly number: number;
  /** What happened, worded without a subject. Shown in events and in `heddle vf show`. */
  readonly help: string;
  /** What ends it. */
  readonly remedy: string;
}

/** Why rings stand still. docs/ring-faults.md is rendered from this table. */
export const FAULT_REASONS = {
  availIndex: {
    number: RING_FAULT_AVAIL_INDEX,
    help: 'avail index ahead by more than the queue size',
    remedy: 'a reset by the driver',
  },
  headIndex: {
    number: RING_FAULT_HEAD_INDEX,
    help: 'available ring names a descriptor beyond the table',
    remedy: 'a reset by the driver',
  },
  chain: {
    number: RING_FAULT_CHAIN,
    help: 'packed ring: chain longer than the ring or the limit',
    remedy: 'a reset by the driver',
  },
  trap: {
    number: RING_FAULT_TRAP,
    help: 'the firmware trapped',
    remedy:
      'a reset by the driver. The processor was replaced, which takes about 0.1 s. Please report it',
  },
  place: {
    number: RING_FAULT_PLACE,
    help:
      'the NIC was killed while it served this packed ring, so its position is unknown: ' +
      'the guest has to reset it',
    remedy: 'a reset by the driver, or a restart of the guest',
  },
  setup: {
    number: RING_FAULT_SETUP,
    help: 'its size, base or addresses are invalid',
    remedy: "the VMM's next message about the ring",
  },
  memory: {
    number: RING_FAULT_MEMORY,
    help: 'its memory cannot be mapped',
    remedy:
      'the VMM restarts the ring or reconnects. The memory may have been sealed, or the process is ' +
      'at its limit',
  },
} as const satisfies Readonly<Record<string, FaultReason>>;

/** How often a ring was stopped, by reason. Reasons with zero are absent. */
export type FaultReasons = Partial<Record<keyof typeof FAULT_REASONS, number>>;

/** Why a ring does not run: the fault under which it is counted, and in words. */
export interface RingProblem {
  fault: number;
  reason: string;
}

/** Aligned in the front-end's address space, but not in the file. */
export const ODD_PLACE: RingProblem = {
  fault: RING_FAULT_SETUP,
  reason: 'a part of the ring is misaligned in its file',
};

/** A ring cannot be attached because of a fault in the ring. `fault` is what crosses threads. */
export class RingFaultError extends Error {
  readonly fault: number;

  constructor(fault: number) {
    super(ringProblem(fault).reason);
    this.fault = fault;
  }
}

/** Why a processor failed to attach a ring. */
export function attachProblem(error: Error): RingProblem {
  return error instanceof RingFaultError
    ? ringProblem(error.fault)
    : ringProblem(RING_FAULT_MEMORY, error.message);
}

export function ringProblem(fault: number, detail?: string): RingProblem {
  const known = Object.values(FAULT_REASONS).find(({ number }) => number === fault);
  const sentence = known?.help ?? `fault ${fault}`;
  return { fault, reason: detail === undefined ? sentence : `${sentence}: ${detail}` };
}
