import { PROCESSOR_COUNT_MAX } from '../../layout/limits.ts';

/** Where the threads of processors find the record: the environment data of worker threads. */
export const SILENCE_KEY = 'heddle/silence';

const RINGS_MAX = 16;

/** Places of the record, an array of doubles that all threads share. */
export const SILENCE = {
  /** Whoever raises it begins anew: what came before is none of its business. */
  EPOCH: 0,
  RING_COUNT: 1,
  RINGS: 2,
  /** For each processor: the longest CPU time in µs, and beside it milliseconds by the clock. */
  LONGEST: 2 + RINGS_MAX,
  SIZE: 2 + RINGS_MAX + 2 * PROCESSOR_COUNT_MAX,
} as const;

export function silenceOf(processor: number): number {
  return SILENCE.LONGEST + processor * 2;
}
