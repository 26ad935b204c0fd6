import { PROCESSOR_COUNT_MAX } from '../../layout/limits.ts';

/** Where the threads of processors find the record: the environment data of worker threads. */
export const SILENCE_KEY = 'heddle/silence';

const RINGS_MAX = 16;
/** Silences that are kept of each processor: its longest. */
export const SILENCES_KEPT = 3;

/** Places of the record, an array of doubles that all threads share. */
export const SILENCE = {
  /** Whoever raises it begins anew: what came before is none of its business. */
  EPOCH: 0,
  RING_COUNT: 1,
  RINGS: 2,
  /**
   * For each processor its longest silences, the longest first: CPU time in µs, and beside it
   * milliseconds by the clock.
   */
  LONGEST: 2 + RINGS_MAX,
  /** For each processor: its CPU time in µs at its last turn. */
  NOW: 2 + RINGS_MAX + 2 * SILENCES_KEPT * PROCESSOR_COUNT_MAX,
  /** For each ring: the same when it was served last. */
  SERVED: 2 + RINGS_MAX + (2 * SILENCES_KEPT + 1) * PROCESSOR_COUNT_MAX,
  SIZE: 2 + 2 * RINGS_MAX + (2 * SILENCES_KEPT + 1) * PROCESSOR_COUNT_MAX,
} as const;

/** The place of a processor's silence, of which `rank` are longer. */
export function silenceOf(processor: number, rank: number): number {
  return SILENCE.LONGEST + (processor * SILENCES_KEPT + rank) * 2;
}
