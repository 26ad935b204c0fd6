import { readSync } from 'node:fs';
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

/** What an uplink's driver saw of the world. */
export interface WireStats {
  received: number;
  receivedBytes: number;
  /** Frames that the world took: rx.packets = sent + Σ drops, but for `malformed`. */
  sent: number;
  sentBytes: number;
  /** Times that the world took no more, and frames waited in the ring. */
  blocked: number;
  drops: {
    /** To the world: longer than the MTU, and no super-frame. */
    tooLong: number;
    /** To the world: the kernel refused this very frame. */
    refused: number;
    /** To the world: it waited when the link was lost. */
    linkLost: number;
    /** From the world: cut off, or longer than any frame. */
    malformed: number;
    /** A fault injector did so on purpose. */
    injected: number;
  };
}

/**
 * The drivers' counters, summed over the queue pairs: read from their memory file, at no cost to
 * them.
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
  const at = (counter: number) => sums[counter] ?? 0;
  return {
    received: at(WIRE_RECEIVED),
    receivedBytes: at(WIRE_RECEIVED_BYTES),
    sent: at(WIRE_SENT),
    sentBytes: at(WIRE_SENT_BYTES),
    blocked: at(WIRE_BLOCKED),
    drops: {
      tooLong: at(WIRE_TOO_LONG),
      refused: at(WIRE_REFUSED),
      linkLost: at(WIRE_LINK_LOST),
      malformed: at(WIRE_MALFORMED),
      injected: at(WIRE_INJECTED),
    },
  };
}
