/** The key of the record in the environment data of worker threads. */
export const WORK_KEY = 'heddle/work';

/** Offsets in the record of a processor, doubles that threads share. Times are in ns. */
export const WORK = {
  /** Its thread's CPU time at its last turn. */
  CPU: 0,
  /** Of that, the time in which it looked for work and found none. */
  IDLE: 1,
  SIZE: 2,
} as const;
