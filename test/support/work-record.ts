/** The key of the record in the environment data of worker threads. */
export const WORK_KEY = 'heddle/work';

/** Offsets in the record of a processor, doubles that threads share. Times in ns. */
export const WORK = {
  /** In which it had something to do. */
  BUSY: 0,
  // What the host has taken for …
  /** … messages of the control plane, */
  MESSAGES: 1,
  /** requests, */
  REQUESTS: 2,
  /** the look at buffers that receivers have posted, */
  LOOK_AHEAD: 3,
  /** taking in frames from uplinks, */
  PULLS: 4,
  /** and interrupts, and sending frames through uplinks. */
  CALLS: 5,
  SIZE: 6,
} as const;

/** What the host does between two turns, by its place in the record. */
export type HostWork = (typeof WORK)['MESSAGES' | 'REQUESTS' | 'LOOK_AHEAD' | 'PULLS' | 'CALLS'];
