// CLOCK_MONOTONIC: the same in every thread, whatever happens to the wall clock.

/**
 * Microseconds modulo 2^32, as a signed number of 32 bits: V8 never puts such a one on the heap,
 * and any other that a function returns it may. `performance.now()` allocates in any case.
 */
export function monotonicMicroseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return (seconds * 1e6 + Math.floor(nanoseconds / 1e3)) | 0;
}

/** Microseconds from one such time to a later one; of more than 71 minutes, what is left over. */
export function elapsedMicroseconds(from: number, to: number): number {
  return (to - from) >>> 0;
}

export function monotonicSeconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds + nanoseconds / 1e9;
}

/** Whole ones: nothing that V8 puts on the heap. */
export function monotonicWholeSeconds(): number {
  return process.hrtime()[0];
}
