// CLOCK_MONOTONIC: the same in every thread, whatever happens to the wall clock.

/**
 * Microseconds modulo 2^32, as a signed 32-bit number: V8 never allocates one of these on the heap,
 * but may do so for any other number that a function returns. `performance.now()` always allocates.
 */
export function monotonicMicroseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return (seconds * 1e6 + Math.floor(nanoseconds / 1e3)) | 0;
}

/** Microseconds between two such times, modulo 2^32 (71 minutes). */
export function elapsedMicroseconds(from: number, to: number): number {
  return (to - from) >>> 0;
}

export function monotonicSeconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds + nanoseconds / 1e9;
}

/** Whole seconds, which V8 does not allocate on the heap. */
export function monotonicWholeSeconds(): number {
  return process.hrtime()[0];
}
