import {
  COUNTER_BYTES,
  COUNTER_CHECKSUMS,
  COUNTER_FAULTS,
  COUNTER_FORWARDED,
  COUNTER_GRO_MERGED,
  COUNTER_INTERRUPTS,
  COUNTER_KICKS,
  COUNTER_OFFERED,
  COUNTER_PACKETS,
  COUNTER_PAGE_WAITS,
  COUNTER_REFUSED,
  COUNTER_REPLICAS,
  COUNTER_SEGMENTS,
  COUNTER_WINDOW_MISSES,
} from '../../layout/counters.ts';

/** What users read about a counter. */
export interface CounterText {
  readonly unit: 'frames' | 'bytes' | 'events' | 'commands' | 'entries' | 'nanoseconds';
  /** One sentence. */
  readonly help: string;
  /** The value can also fall. */
  readonly isGauge?: true;
}

/** A counter in shared memory: entry `number` of its record. */
export interface Counter extends CounterText {
  readonly number: number;
}

/**
 * tx: from the guest. rx: to the guest. control: the queue through which a guest configures its
 * port.
 */
export type Direction = 'tx' | 'rx' | 'control';

interface RingCounter extends Counter {
  readonly of: readonly Direction[];
}

/**
 * The counters of a queue. Types, JSON, sums, `heddle stats` and docs/counters.md are derived from
 * this table. Counters are read from the end of the table, so that those that settle a frame are
 * read before those that the firmware raises first (`offered`, `packets`). In the middle of a
 * batch, a reader then sees frames in flight, but never more settled than arrived.
 */
export const RING_COUNTERS = {
  commands: {
    number: COUNTER_PACKETS,
    of: ['control'],
    unit: 'commands',
    help: 'Commands that were answered.',
  },
  refused: {
    number: COUNTER_REFUSED,
    of: ['control'],
    unit: 'commands',
    help: 'Commands answered with an error: malformed, not negotiated, or more than the VF has.',
  },
  offered: {
    number: COUNTER_OFFERED,
    of: ['rx'],
    unit: 'frames',
    help: 'Frames that the switch sent to this port: packets + groMerged + all drops.',
  },
  packets: {
    number: COUNTER_PACKETS,
    of: ['tx', 'rx'],
    unit: 'frames',
    help: 'Frames taken from the guest (tx: forwarded + all drops) or delivered to it (rx).',
  },
  bytes: {
    number: COUNTER_BYTES,
    of: ['tx', 'rx'],
    unit: 'bytes',
    help: 'Bytes of these frames, from the Ethernet header on.',
  },
  forwarded: {
    number: COUNTER_FORWARDED,
    of: ['tx'],
    unit: 'frames',
    help: 'Frames that went to at least one destination.',
  },
  replicas: {
    number: COUNTER_REPLICAS,
    of: ['tx'],
    unit: 'frames',
    help: 'Additional copies made by flooding.',
  },
  segments: {
    number: COUNTER_SEGMENTS,
    of: ['rx'],
    unit: 'frames',
    help: 'Additional frames made by segmenting large ones, counted in offered, too.',
  },
  groMerged: {
    number: COUNTER_GRO_MERGED,
    of: ['rx'],
    unit: 'frames',
    help: 'Frames that GRO joined to the one before them, and that arrived as part of it.',
  },
  checksums: {
    number: COUNTER_CHECKSUMS,
    of: ['rx'],
    unit: 'frames',
    help: 'Checksums completed for a guest that takes only finished frames.',
  },
  kicks: {
    number: COUNTER_KICKS,
    of: ['tx', 'control'],
    unit: 'events',
    help: 'Notifications from the guest.',
  },
  interrupts: {
    number: COUNTER_INTERRUPTS,
    of: ['tx', 'rx', 'control'],
    unit: 'events',
    help: 'Notifications to the guest.',
  },
  windowMisses: {
    number: COUNTER_WINDOW_MISSES,
    of: ['tx', 'rx'],
    unit: 'events',
    help: "Times that a part of the guest's memory had to be mapped first.",
  },
  pageWaits: {
    number: COUNTER_PAGE_WAITS,
    of: ['tx'],
    unit: 'events',
    help: 'Times that frames stayed in the guest because their pages had to be found first.',
  },
  faults: {
    number: COUNTER_FAULTS,
    of: ['tx', 'rx', 'control'],
    unit: 'events',
    help: 'Times that the ring was stopped, or could not start: by reason in faultReasons.',
  },
} as const satisfies Readonly<Record<string, RingCounter>>;

type RingCounters = typeof RING_COUNTERS;

/** The counters that a queue of this direction has. */
export type RingFigures<Of extends Direction> = {
  -readonly [Name in keyof RingCounters as Of extends RingCounters[Name]['of'][number]
    ? Name
    : never]: number;
};

/** The values of a table of counters. */
export type Figures<Table> = { -readonly [Name in keyof Table]: number };

/** The entries of a table that apply to this direction. */
export function countersOf<Entry extends { readonly of: readonly Direction[] }>(
  table: Readonly<Record<string, Entry>>,
  direction: Direction,
): [string, Entry][] {
  return Object.entries(table).filter(([, { of }]) => of.includes(direction));
}

/** Reads the counters from the end of the table. Returns them in table order. */
export function readTable<Table extends Readonly<Record<string, Counter>>>(
  table: Table,
  read: (counter: number) => number,
): Figures<Table> {
  const figures = Object.entries(table)
    .reverse()
    .map(([name, { number }]) => [name, read(number)]);
  return Object.fromEntries(figures.reverse());
}
