// CLOCK_MONOTONIC: the same in every thread, whatever happens to the wall clock.

/** Looked up once: some of the callers read the clock after every batch. */
const { hrtime } = process;

/**
 * Microseconds modulo 2^32, as a signed 32-bit number: V8 never allocates one of these on the heap,
 * but may do so for any other number that a function returns. `performance.now()` always allocates.
 */
export function monotonicMicroseconds(): number {
  const [seconds, nanoseconds] = hrtime();
  return (seconds * 1e6 + Math.floor(nanoseconds / 1e3)) | 0;
}

/** Microseconds between two such times, modulo 2^32 (71 minutes). */
export function elapsedMicroseconds(from: number, to: number): number {
  return (to - from) >>> 0;
}

export function monotonicSeconds(): number {
  const [seconds, nanoseconds] = hrtime();
  return seconds + nanoseconds / 1e9;
}

/** The lower 32 bits of the time in ns, signed, for the same reason. */
export function monotonicNanosecondsLow(): number {
  const [seconds, nanoseconds] = hrtime();
  return (Math.imul(seconds, 1e9) + nanoseconds) | 0;
}

/** Seconds and nanoseconds. */
export function monotonicTime(): readonly [number, number] {
  return hrtime();
}
