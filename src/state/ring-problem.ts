import {
  RING_FAULT_AVAIL_INDEX,
  RING_FAULT_CHAIN,
  RING_FAULT_HEAD_INDEX,
  RING_FAULT_MEMORY,
  RING_FAULT_PLACE,
  RING_FAULT_SETUP,
  RING_FAULT_TRAP,
} from '../../layout/virtqueue.ts';

/** Why a ring does not run: under which number it is counted, and in words. */
export interface RingProblem {
  fault: number;
  reason: string;
}

/** Aligned for its front-end, and yet not where it is mapped. */
export const ODD_PLACE: RingProblem = {
  fault: RING_FAULT_SETUP,
  reason: 'a part of the ring lies at an odd address of its file',
};

const SENTENCES: Readonly<Record<number, string>> = {
  [RING_FAULT_AVAIL_INDEX]: 'avail index ahead by more than the queue size',
  [RING_FAULT_HEAD_INDEX]: 'available ring names a descriptor beyond the table',
  [RING_FAULT_CHAIN]: 'chain runs on beyond the ring or the longest there may be',
  [RING_FAULT_TRAP]: 'the firmware trapped',
  [RING_FAULT_PLACE]:
    'a NIC that was killed has served this packed ring, and nothing says where it stands: ' +
    'its guest has to reset it',
  [RING_FAULT_SETUP]: 'its size, base or addresses cannot be right',
  [RING_FAULT_MEMORY]: 'its memory cannot be mapped',
};

/** A ring cannot be attached, through a fault of its own. Its number crosses threads. */
export class RingFaultError extends Error {
  readonly fault: number;

  constructor(fault: number) {
    super(ringProblem(fault).reason);
    this.fault = fault;
  }
}

/** What a processor failed of when it was to attach a ring. */
export function attachProblem(error: Error): RingProblem {
  return error instanceof RingFaultError
    ? ringProblem(error.fault)
    : ringProblem(RING_FAULT_MEMORY, error.message);
}

export function ringProblem(fault: number, detail?: string): RingProblem {
  const sentence = SENTENCES[fault] ?? `fault ${fault}`;
  return { fault, reason: detail === undefined ? sentence : `${sentence}: ${detail}` };
}
