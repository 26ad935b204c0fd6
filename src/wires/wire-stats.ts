import { readSync } from 'node:fs';
import { type Counter, type Figures, readTable } from '../state/counter-table.ts';
import {
  PAIR_SIZE,
  WIRE_BLOCKED,
  WIRE_COUNTER_COUNT,
  WIRE_INJECTED,
  WIRE_LINK_LOST,
  WIRE_MALFORMED,
  WIRE_RECEIVED,
  WIRE_RECEIVED_BYTES,
  WIRE_REFUSED,
  WIRE_SENT,
  WIRE_SENT_BYTES,
  WIRE_TOO_LONG,
} from './port-memory.ts';

/** What an uplink's driver counts; types, sums, JSON, CLI and docs/counters.md follow from it. */
export const WIRE_COUNTERS = {
  received: {
    number: WIRE_RECEIVED,
    unit: 'frames',
    help: 'Frames received from the network.',
  },
  receivedBytes: {
    number: WIRE_RECEIVED_BYTES,
    unit: 'bytes',
    help: 'Bytes of these frames, from the Ethernet header on.',
  },
  sent: {
    number: WIRE_SENT,
    unit: 'frames',
    help: 'Frames sent to the network: rx.packets = sent + all drops except malformed.',
  },
  sentBytes: {
    number: WIRE_SENT_BYTES,
    unit: 'bytes',
    help: 'Bytes of these frames, from the Ethernet header on.',
  },
  blocked: {
    number: WIRE_BLOCKED,
    unit: 'events',
    help: 'Times that the network accepted no more, so that frames waited in the ring.',
  },
} as const satisfies Readonly<Record<string, Counter>>;

/** Frames that were lost beyond the switch. */
export const WIRE_DROPS = {
  tooLong: {
    number: WIRE_TOO_LONG,
    unit: 'frames',
    help: 'Sending: longer than the MTU, and not a super-frame.',
  },
  refused: {
    number: WIRE_REFUSED,
    unit: 'frames',
    help: 'Sending: the kernel refused this frame.',
  },
  linkLost: {
    number: WIRE_LINK_LOST,
    unit: 'frames',
    help: 'Sending: it was waiting when the link was lost.',
  },
  malformed: {
    number: WIRE_MALFORMED,
    unit: 'frames',
    help: 'Receiving: truncated, or longer than any frame.',
  },
  injected: {
    number: WIRE_INJECTED,
    unit: 'frames',
    help: 'Faults caused by a fault injector.',
  },
} as const satisfies Readonly<Record<string, Counter>>;

/** The counters of an uplink's driver. */
export interface WireStats extends Figures<typeof WIRE_COUNTERS> {
  drops: Figures<typeof WIRE_DROPS>;
}

/**
 * The drivers' counters, summed over the queue pairs. Read from their memory file, so reading costs
 * them nothing.
 */
export function readWireStats(fd: number, pairs: number): WireStats {
  const sums = new Float64Array(WIRE_COUNTER_COUNT);
  const counters = new Float64Array(WIRE_COUNTER_COUNT);
  for (let pair = 0; fd >= 0 && pair < pairs; pair++) {
    readSync(fd, counters, 0, counters.byteLength, pair * PAIR_SIZE);
    counters.forEach((value, index) => {
      sums[index] = (sums[index] ?? 0) + value;
    });
  }
  const at = (counter: number): number => sums[counter] ?? 0;
  return { ...readTable(WIRE_COUNTERS, at), drops: readTable(WIRE_DROPS, at) };
}
