import { PROCESSOR_COUNT_MAX } from '../../layout/limits.ts';

/** The key of the record in the environment data of worker threads. */
export const SILENCE_KEY = 'heddle/silence';

export interface SilenceData {
  /** See SILENCE. */
  record: SharedArrayBuffer;
  /** See standstills.ts. */
  standstills: SharedArrayBuffer;
}

const RINGS_MAX = 16;
/** Number of the longest silences that are kept for each processor. */
export const SILENCES_KEPT = 3;

/** Offsets in the record, an array of doubles that all threads share. */
export const SILENCE = {
  /** Incremented to start over: earlier silences are then discarded. */
  EPOCH: 0,
  RING_COUNT: 1,
  RINGS: 2,
  /**
   * For each processor its longest silences, the longest first: CPU time in µs, then wall time in
   * ms.
   */
  LONGEST: 2 + RINGS_MAX,
  /** For each processor: its CPU time in µs at its last turn. */
  NOW: 2 + RINGS_MAX + 2 * SILENCES_KEPT * PROCESSOR_COUNT_MAX,
  /** For each ring: the CPU time in µs when it was last served. */
  SERVED: 2 + RINGS_MAX + (2 * SILENCES_KEPT + 1) * PROCESSOR_COUNT_MAX,
  SIZE: 2 + 2 * RINGS_MAX + (2 * SILENCES_KEPT + 1) * PROCESSOR_COUNT_MAX,
} as const;

/** The offset of a processor's silence with rank `rank`. */
export function silenceOf(processor: number, rank: number): number {
  return SILENCE.LONGEST + (processor * SILENCES_KEPT + rank) * 2;
}
