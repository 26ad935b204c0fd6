import {
  PROCESSOR_EVICTIONS,
  PROCESSOR_MISSES,
  PROCESSOR_SLEEPS,
  PROCESSOR_SLOTS,
  PROCESSOR_SLOTS_USED,
  PROCESSOR_TURNS,
} from '../../layout/processor.ts';
import type { Counter, CounterText, Figures } from '../state/counter-table.ts';

/** What a processor writes into its record, at these offsets. 32 bits each; they may wrap. */
export const PROCESSOR_COUNTERS = {
  turns: {
    number: PROCESSOR_TURNS,
    unit: 'events',
    help: 'Turns, each of which serves at most one batch of every ring that is due.',
  },
  sleeps: {
    number: PROCESSOR_SLEEPS,
    unit: 'events',
    help: 'Times it slept until a kick, a message or a frame from an uplink.',
  },
} as const satisfies Readonly<Record<string, Counter>>;

/** Its windows onto guest memory, in the same record. */
export const WINDOW_COUNTERS = {
  slots: {
    number: PROCESSOR_SLOTS,
    unit: 'entries',
    isGauge: true,
    help: 'Windows that can be mapped at the same time.',
  },
  used: {
    number: PROCESSOR_SLOTS_USED,
    unit: 'entries',
    isGauge: true,
    help: 'Windows that are mapped to guest memory now.',
  },
  misses: {
    number: PROCESSOR_MISSES,
    unit: 'events',
    help: 'Windows that were missing and had to be mapped.',
  },
  evictions: {
    number: PROCESSOR_EVICTIONS,
    unit: 'events',
    help: 'Windows that were evicted to map others.',
  },
} as const satisfies Readonly<Record<string, Counter>>;

/** What the control plane knows about a processor. */
export const PROCESSOR_NOTES = {
  restarts: {
    unit: 'events',
    help: 'Times its thread died and was replaced.',
  },
  vfs: {
    unit: 'entries',
    isGauge: true,
    help: 'VFs and uplinks whose transmit rings it serves.',
  },
} as const satisfies Readonly<Record<string, CounterText>>;

export interface ProcessorStats
  extends Figures<typeof PROCESSOR_COUNTERS>,
    Figures<typeof PROCESSOR_NOTES> {
  index: number;
  /** The CPU reserved for it, or null. */
  cpu: number | null;
  windows: Figures<typeof WINDOW_COUNTERS>;
}
