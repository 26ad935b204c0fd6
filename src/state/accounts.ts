import { SHARED_ACCOUNTS } from '../../layout/memory.ts';
import {
  ACCOUNT_BYTES,
  ACCOUNT_HELD_NS,
  ACCOUNT_PACKETS,
  ACCOUNT_SHARE_BYTES,
  ACCOUNT_SIZE,
  ACCOUNT_WORK_NS,
} from '../../layout/scheduler.ts';
import type { CounterText, Figures } from './counter-table.ts';

/** What a node of the schedule has had: a VF, an uplink, a group, the NIC. */
export const ACCOUNT_COUNTERS = {
  bytes: {
    unit: 'bytes',
    help: 'Bytes sent, as on a wire: each segment of a super-frame with its own headers.',
  },
  packets: {
    unit: 'frames',
    help: 'Frames sent; each segment of a super-frame counts as one.',
  },
  workNanoseconds: {
    unit: 'nanoseconds',
    help: 'Processor time for its frames and what they caused: copies, segments, windows.',
  },
  heldNanoseconds: {
    unit: 'nanoseconds',
    help: 'Time for which it had something to send, and its maximum did not let it.',
  },
  guaranteedBytes: {
    unit: 'bytes',
    help: 'Bytes that were sent for its guarantee.',
  },
} as const satisfies Readonly<Record<string, CounterText>>;

export interface AccountStats extends Figures<typeof ACCOUNT_COUNTERS> {}

export function readAccount(view: DataView, node: number): AccountStats {
  const record = SHARED_ACCOUNTS + node * ACCOUNT_SIZE;
  const sum = (field: number) => Number(view.getBigUint64(record + field, true));
  const time = (field: number) => Math.floor(view.getFloat64(record + field, true));
  return {
    bytes: sum(ACCOUNT_BYTES),
    packets: sum(ACCOUNT_PACKETS),
    workNanoseconds: time(ACCOUNT_WORK_NS),
    heldNanoseconds: time(ACCOUNT_HELD_NS),
    guaranteedBytes: sum(ACCOUNT_SHARE_BYTES),
  };
}
