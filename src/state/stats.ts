// The counters of a port as users see them. counter-table.ts describes each of them.

import type { CounterText, Direction, Figures, RingFigures } from './counter-table.ts';
import type { Drops } from './drop-reasons.ts';
import type { FaultReasons } from './ring-problem.ts';

interface Reasons {
  faultReasons: FaultReasons;
  drops: Drops;
}

/** The counters of one queue, or of all queues of one direction. */
export type RingStats<Of extends Direction> = RingFigures<Of> & Reasons;

/** From the guest: packets = forwarded + Σ drops. */
export interface TxStats extends RingStats<'tx'> {}

/** To the guest: offered = packets + groMerged + Σ drops. */
export interface RxStats extends RingStats<'rx'> {}

/** A control queue that the front-end passes through. */
export interface ControlStats extends RingStats<'control'> {}

export type QueueStats =
  | ({ queue: number; direction: 'tx' } & TxStats)
  | ({ queue: number; direction: 'rx' } & RxStats);

/** Addresses that the switch has learned behind a port. */
export const ADDRESS_COUNTERS = {
  learned: {
    unit: 'entries',
    isGauge: true,
    help: "Addresses in the MAC table now. The VF's own is not among them.",
  },
  unlearned: {
    unit: 'frames',
    help: "Frames from an address that was not learned: the port's limit, or a full table.",
  },
} as const satisfies Readonly<Record<string, CounterText>>;

export interface AddressStats extends Figures<typeof ADDRESS_COUNTERS> {}
